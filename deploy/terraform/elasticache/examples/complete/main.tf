# Everything that the module can do. It costs money as soon as it is applied.
terraform {
  required_version = ">= 1.9.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.80.0, < 7.0.0"
    }
  }

  # The state holds the token: keep it where it is encrypted and few can read it.
  # backend "s3" {
  #   bucket     = "example-terraform-state"
  #   key        = "marketplace/elasticache.tfstate"
  #   region     = "eu-central-1"
  #   encrypt    = true
  #   kms_key_id = "arn:aws:kms:eu-central-1:111122223333:key/00000000-0000-0000-0000-000000000000"
  # }
}

variable "region" {
  description = "Region of AWS."
  type        = string
  default     = "eu-central-1"
}

variable "vpc_id" {
  description = "VPC."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets in two or more availability zones."
  type        = list(string)
}

variable "product_security_group_id" {
  description = "Security group of the pods or machines that run the product."
  type        = string
}

variable "auth_token" {
  description = "Token, from TF_VAR_auth_token."
  type        = string
  sensitive   = true
}

provider "aws" {
  region = var.region
}

resource "aws_kms_key" "redis" {
  description         = "Data at rest of the marketplace queue"
  enable_key_rotation = true
}

resource "aws_sns_topic" "redis" {
  name = "marketplace-redis"
}

resource "aws_cloudwatch_log_group" "redis" {
  for_each = toset(["slow-log", "engine-log"])

  name              = "/marketplace/redis/${each.key}"
  retention_in_days = 30
}

module "redis" {
  source = "../.."

  name                       = "marketplace"
  engine                     = "valkey"
  node_type                  = "cache.m7g.large"
  num_cache_clusters         = 3
  vpc_id                     = var.vpc_id
  subnet_ids                 = var.subnet_ids
  allowed_security_group_ids = { product = var.product_security_group_id }
  auth_token                 = var.auth_token
  kms_key_id                 = aws_kms_key.redis.arn
  notification_topic_arn     = aws_sns_topic.redis.arn
  alarm_topic_arns           = [aws_sns_topic.redis.arn]
  log_delivery               = { for type, group in aws_cloudwatch_log_group.redis : type => { destination = group.name } }
  tags                       = { Product = "marketplace" }
}

output "helm_values" {
  description = "Values for the chart."
  value       = module.redis.helm_values
}

output "redis_url" {
  description = "`REDIS_URL` without the token."
  value       = module.redis.redis_url
}

# README.md's table is made from this file: run `make artifacts` after a change.

variable "name" {
  description = "Name of the replication group; every other resource is named after it."
  type        = string
  default     = "marketplace"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z](-?[a-z0-9])*$", var.name)) && length(var.name) <= 40
    error_message = "name must be 1 to 40 lower-case letters, digits and single hyphens, begin with a letter and not end with a hyphen."
  }
}

variable "engine" {
  description = "`valkey` or `redis`."
  type        = string
  default     = "valkey"
  nullable    = false

  validation {
    condition     = contains(["valkey", "redis"], var.engine)
    error_message = "engine must be \"valkey\" or \"redis\"."
  }
}

variable "engine_version" {
  description = "Version of the engine: `MAJOR.MINOR`, Valkey 7.2 or newer, Redis OSS 7.0 or 7.1. The latest of each that this module knows when null: 8.0 and 7.1."
  type        = string
  default     = null

  validation {
    condition = var.engine_version == null ? true : can(regex(
      var.engine == "redis" ? "^7\\.[0-9]+$" : "^(7\\.[2-9]|[89]\\.[0-9]+)$", var.engine_version
    ))
    error_message = "engine_version must be MAJOR.MINOR: 7.x for redis; 7.2 or newer for valkey."
  }
}

variable "node_type" {
  description = "Size of each member. Burstable types (`cache.t4g.*`) are for trials."
  type        = string
  default     = "cache.m7g.large"
  nullable    = false

  validation {
    condition     = can(regex("^cache\\.[a-z0-9]+\\.[a-z0-9]+$", var.node_type))
    error_message = "node_type must be a node type of ElastiCache, such as \"cache.m7g.large\"."
  }
}

variable "num_cache_clusters" {
  description = "Members: one primary, the others are replicas that can take over."
  type        = number
  default     = 2
  nullable    = false

  validation {
    condition     = floor(var.num_cache_clusters) == var.num_cache_clusters && var.num_cache_clusters >= 2 && var.num_cache_clusters <= 6
    error_message = "num_cache_clusters must be a whole number from 2 to 6: automatic failover needs a replica."
  }
}

variable "port" {
  description = "Port of every member."
  type        = number
  default     = 6379
  nullable    = false

  validation {
    condition     = floor(var.port) == var.port && var.port >= 1024 && var.port <= 65535
    error_message = "port must be a whole number from 1024 to 65535."
  }
}

variable "vpc_id" {
  description = "VPC of the security group."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^vpc-[0-9a-z]+$", var.vpc_id))
    error_message = "vpc_id must be the id of a VPC, vpc-..."
  }
}

variable "subnet_ids" {
  description = "Private subnets in two or more availability zones."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(distinct(var.subnet_ids)) >= 2 && alltrue([for id in var.subnet_ids : can(regex("^subnet-[0-9a-z]+$", id))])
    error_message = "subnet_ids must be two or more different ids of subnets, subnet-..., in different availability zones."
  }
}

variable "allowed_security_group_ids" {
  description = "Security groups that may connect, by a name of yours: those of web, worker and scheduler. Nobody else can; ranges of addresses cannot be given."
  type        = map(string)
  nullable    = false

  validation {
    condition     = length(var.allowed_security_group_ids) > 0 && alltrue([for id in values(var.allowed_security_group_ids) : can(regex("^sg-[0-9a-z]+$", id))])
    error_message = "allowed_security_group_ids must map a name to the id of a security group, sg-..., once or more; ranges of addresses are not accepted."
  }
}

variable "auth_token" {
  description = "Password of the server, 32 to 128 letters, digits and any of `!&#$^<>-`. It is stored in the state: see below."
  type        = string
  sensitive   = true
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9!&#$^<>-]{32,128}$", var.auth_token))
    error_message = "auth_token must be 32 to 128 letters, digits and any of !&#$^<>-."
  }
}

variable "auth_token_update_strategy" {
  description = "What a changed `auth_token` does: `ROTATE` adds it beside the old one, `SET` leaves it alone as the only one."
  type        = string
  default     = "ROTATE"
  nullable    = false

  validation {
    # DELETE would leave a server without a password.
    condition     = contains(["ROTATE", "SET"], var.auth_token_update_strategy)
    error_message = "auth_token_update_strategy must be \"ROTATE\" or \"SET\"."
  }
}

variable "kms_key_id" {
  description = "ARN of the KMS key that encrypts data at rest; the key of AWS for ElastiCache when null."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_id == null ? true : can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms_key_id))
    error_message = "kms_key_id must be the ARN of a KMS key, arn:aws:kms:REGION:ACCOUNT:key/ID."
  }
}

variable "client_timeout_seconds" {
  description = "After so long without a command a connection is closed; 0 never. Workers wait on idle connections, so it is 0 or at least 60."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = floor(var.client_timeout_seconds) == var.client_timeout_seconds && (var.client_timeout_seconds == 0 || var.client_timeout_seconds >= 60)
    error_message = "client_timeout_seconds must be 0 or a whole number from 60."
  }
}

variable "snapshot_retention_days" {
  description = "For how many days daily snapshots are kept; 0 takes none. The product loses no job without them."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = floor(var.snapshot_retention_days) == var.snapshot_retention_days && var.snapshot_retention_days >= 0 && var.snapshot_retention_days <= 35
    error_message = "snapshot_retention_days must be a whole number from 0 to 35."
  }
}

variable "snapshot_window" {
  description = "When snapshots are taken, UTC, an hour or longer; outside `maintenance_window`."
  type        = string
  default     = "03:00-04:00"
  nullable    = false

  validation {
    condition     = can(regex("^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$", var.snapshot_window))
    error_message = "snapshot_window must be HH:MM-HH:MM in UTC, such as \"03:00-04:00\"."
  }
}

variable "maintenance_window" {
  description = "When AWS may change or restart members, UTC, an hour or longer."
  type        = string
  default     = "sun:05:00-sun:06:00"
  nullable    = false

  validation {
    condition     = can(regex("^(mon|tue|wed|thu|fri|sat|sun):([01][0-9]|2[0-3]):[0-5][0-9]-(mon|tue|wed|thu|fri|sat|sun):([01][0-9]|2[0-3]):[0-5][0-9]$", var.maintenance_window))
    error_message = "maintenance_window must be ddd:HH:MM-ddd:HH:MM in UTC, such as \"sun:05:00-sun:06:00\"."
  }
}

variable "apply_immediately" {
  description = "Whether changes are made at once instead of in the maintenance window. A rotation of the token always is."
  type        = bool
  default     = false
  nullable    = false
}

variable "auto_minor_version_upgrade" {
  description = "Whether AWS brings new minor versions in the maintenance window."
  type        = bool
  default     = true
  nullable    = false
}

variable "log_delivery" {
  description = "Where logs go, by type (`slow-log`, `engine-log`): name of a CloudWatch log group or a Firehose stream that exists, its type (`cloudwatch-logs`, `kinesis-firehose`) and the format (`json`, `text`)."
  type = map(object({
    destination      = string
    destination_type = optional(string, "cloudwatch-logs")
    log_format       = optional(string, "json")
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for type in keys(var.log_delivery) : contains(["slow-log", "engine-log"], type)])
    error_message = "log_delivery must have no other keys than \"slow-log\" and \"engine-log\"."
  }

  validation {
    condition = alltrue([for log in values(var.log_delivery) :
      contains(["cloudwatch-logs", "kinesis-firehose"], log.destination_type) && contains(["json", "text"], log.log_format)
    ])
    error_message = "log_delivery needs destination_type \"cloudwatch-logs\" or \"kinesis-firehose\", and log_format \"json\" or \"text\"."
  }
}

variable "notification_topic_arn" {
  description = "SNS topic for events of the server, such as a failover; none when null."
  type        = string
  default     = null

  validation {
    condition     = var.notification_topic_arn == null ? true : can(regex("^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:.+$", var.notification_topic_arn))
    error_message = "notification_topic_arn must be the ARN of an SNS topic."
  }
}

variable "alarm_topic_arns" {
  description = "SNS topics that are told when an alarm fires and when it is over. Alarms exist without any, but tell nobody."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.alarm_topic_arns) <= 5 && alltrue([for arn in var.alarm_topic_arns : can(regex("^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:.+$", arn))])
    error_message = "alarm_topic_arns must be up to five ARNs of SNS topics."
  }
}

variable "expected_connections" {
  description = "Connections to expect at most; more than this raises an alarm. A process opens up to 50 with each of its clients."
  type        = number
  default     = 1000
  nullable    = false

  validation {
    condition     = floor(var.expected_connections) == var.expected_connections && var.expected_connections >= 1 && var.expected_connections <= 65000
    error_message = "expected_connections must be a whole number from 1 to 65000, the most that ElastiCache accepts."
  }
}

variable "helm_existing_secret" {
  description = "Name of the Kubernetes secret that holds the token; only passed on in the output `helm_values`."
  type        = string
  default     = "marketplace-redis"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", var.helm_existing_secret))
    error_message = "helm_existing_secret must be the name of a Kubernetes secret: lower-case letters, digits, dots and hyphens."
  }
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key in keys(var.tags) : !startswith(lower(key), "aws:")])
    error_message = "tags must not have keys that begin with \"aws:\"."
  }
}

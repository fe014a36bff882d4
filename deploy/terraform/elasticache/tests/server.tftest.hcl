mock_provider "aws" {
  mock_resource "aws_elasticache_replication_group" {
    defaults = {
      primary_endpoint_address = "primary.example.invalid"
      reader_endpoint_address  = "reader.example.invalid"
    }
  }
}

variables {
  vpc_id                     = "vpc-0123456789abcdef0"
  subnet_ids                 = ["subnet-0a", "subnet-0b"]
  allowed_security_group_ids = { web = "sg-0a", worker = "sg-0b" }
  auth_token                 = "0123456789abcdef0123456789abcdef"
}

run "a_server_without_further_choices" {
  command = plan

  assert {
    condition     = aws_elasticache_replication_group.this.engine == "valkey" && aws_elasticache_replication_group.this.engine_version == "8.0"
    error_message = "the engine is not Valkey 8.0"
  }
  assert {
    condition     = aws_elasticache_replication_group.this.transit_encryption_enabled && aws_elasticache_replication_group.this.transit_encryption_mode == "required"
    error_message = "TLS is not required"
  }
  assert {
    condition     = aws_elasticache_replication_group.this.at_rest_encryption_enabled == "true"
    error_message = "data at rest is not encrypted"
  }
  assert {
    condition     = aws_elasticache_replication_group.this.auth_token == var.auth_token && aws_elasticache_replication_group.this.auth_token_update_strategy == "ROTATE"
    error_message = "there is no token, or changing it cuts clients off"
  }
  assert {
    condition     = aws_elasticache_replication_group.this.num_cache_clusters == 2 && aws_elasticache_replication_group.this.automatic_failover_enabled && aws_elasticache_replication_group.this.multi_az_enabled
    error_message = "no replica in another zone takes over"
  }
  assert {
    condition     = aws_elasticache_replication_group.this.cluster_mode == "disabled"
    error_message = "cluster mode is not off"
  }
  assert {
    condition     = aws_elasticache_replication_group.this.apply_immediately == false
    error_message = "changes do not wait for the maintenance window"
  }
  assert {
    condition     = aws_elasticache_parameter_group.this.family == "valkey8"
    error_message = "the parameters are not those of the engine"
  }
  assert {
    condition     = one([for parameter in aws_elasticache_parameter_group.this.parameter : parameter.value if parameter.name == "maxmemory-policy"]) == "noeviction"
    error_message = "keys can be evicted"
  }
  assert {
    condition     = aws_elasticache_replication_group.this.parameter_group_name == aws_elasticache_parameter_group.this.name
    error_message = "the server does not use the parameter group"
  }
  assert {
    condition     = aws_elasticache_replication_group.this.subnet_group_name == "marketplace" && toset(aws_elasticache_subnet_group.this.subnet_ids) == toset(var.subnet_ids)
    error_message = "the server is not in the given subnets"
  }
  assert {
    condition     = { for name, rule in aws_vpc_security_group_ingress_rule.client : name => rule.referenced_security_group_id } == { web = "sg-0a", worker = "sg-0b" }
    error_message = "others than the given security groups may connect"
  }
  assert {
    condition = alltrue([for rule in aws_vpc_security_group_ingress_rule.client :
      rule.from_port == 6379 && rule.to_port == 6379 && rule.ip_protocol == "tcp" && rule.cidr_ipv4 == null && rule.cidr_ipv6 == null && rule.description != null
    ])
    error_message = "a rule opens more than the port to a security group, or does not say why"
  }
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.member) == 16
    error_message = "not every member has its eight alarms"
  }
  assert {
    condition     = toset([for alarm in aws_cloudwatch_metric_alarm.member : alarm.dimensions.CacheClusterId]) == toset(["marketplace-001", "marketplace-002"])
    error_message = "alarms watch others than the members"
  }
  assert {
    condition     = toset([for alarm in aws_cloudwatch_metric_alarm.member : alarm.threshold if alarm.metric_name == "DatabaseMemoryUsagePercentage"]) == toset([65, 80])
    error_message = "a server that fills up is not told at 65 % and again at 80 %"
  }
  assert {
    condition     = aws_elasticache_replication_group.this.snapshot_retention_limit == 1 && length(aws_elasticache_replication_group.this.log_delivery_configuration) == 0
    error_message = "snapshots or logs are not as the README says"
  }
}

run "a_redis_with_everything" {
  command = plan

  variables {
    name                       = "orders-queue"
    engine                     = "redis"
    num_cache_clusters         = 3
    port                       = 6380
    kms_key_id                 = "arn:aws:kms:eu-central-1:111122223333:key/0a"
    auth_token_update_strategy = "SET"
    notification_topic_arn     = "arn:aws:sns:eu-central-1:111122223333:events"
    alarm_topic_arns           = ["arn:aws:sns:eu-central-1:111122223333:alarms"]
    expected_connections       = 4000
    log_delivery               = { slow-log = { destination = "slow" } }
  }

  assert {
    condition     = aws_elasticache_replication_group.this.engine_version == "7.1" && aws_elasticache_parameter_group.this.family == "redis7"
    error_message = "the engine is not Redis 7.1"
  }
  assert {
    condition     = aws_elasticache_replication_group.this.kms_key_id == var.kms_key_id && aws_elasticache_replication_group.this.notification_topic_arn == var.notification_topic_arn
    error_message = "the key or the topic is not used"
  }
  assert {
    condition     = aws_elasticache_replication_group.this.auth_token_update_strategy == "SET"
    error_message = "the second step of a rotation cannot be made"
  }
  assert {
    condition = one([for log in aws_elasticache_replication_group.this.log_delivery_configuration : log]) == {
      destination = "slow", destination_type = "cloudwatch-logs", log_format = "json", log_type = "slow-log"
    }
    error_message = "the slow log goes elsewhere"
  }
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.member) == 24 && alltrue([for alarm in aws_cloudwatch_metric_alarm.member : alarm.alarm_actions == toset(var.alarm_topic_arns) && alarm.ok_actions == toset(var.alarm_topic_arns)])
    error_message = "an alarm of a member is missing, or tells nobody"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.member["orders-queue-003-connections"].threshold == 4000
    error_message = "the alarm on connections has another limit"
  }
  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_ingress_rule.client : rule.from_port == 6380 && rule.to_port == 6380])
    error_message = "the rules open another port than the server's"
  }
}

run "outputs_after_a_mocked_apply" {
  assert {
    condition = output.helm_values == {
      externalRedis = {
        host           = "primary.example.invalid"
        port           = 6379
        tls            = { enabled = true }
        existingSecret = "marketplace-redis"
      }
    }
    error_message = "the values are not those of the chart"
  }
  assert {
    condition     = output.redis_url == "rediss://:@primary.example.invalid:6379/0"
    error_message = "REDIS_URL is wrong, or holds the token"
  }
  assert {
    condition     = output.endpoint == "primary.example.invalid" && output.reader_endpoint == "reader.example.invalid" && output.port == 6379 && output.tls
    error_message = "an output tells something else than the server"
  }
  assert {
    condition     = output.security_group_id == aws_security_group.this.id && length(output.alarm_names) == 16
    error_message = "security group or alarms are not told"
  }
}

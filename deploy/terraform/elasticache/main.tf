locals {
  engine_version = coalesce(var.engine_version, var.engine == "valkey" ? "8.0" : "7.1")
  family         = "${var.engine}${split(".", local.engine_version)[0]}"

  parameters = {
    # A queue must refuse writes when it is full, never drop what it was given.
    "maxmemory-policy"       = "noeviction"
    "timeout"                = tostring(var.client_timeout_seconds)
    "notify-keyspace-events" = ""
  }

  # Names of the members are known only after the server was made, but AWS numbers them like this.
  # https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/Replication.CreatingReplGroup.NoExistingCluster.Classic.html
  members = [for number in range(1, var.num_cache_clusters + 1) : format("%s-%03d", var.name, number)]

  # Minutes are periods of 60 s in a row. A server that is full refuses writes: it is told early, then again.
  alarms = {
    engine-cpu = {
      metric  = "EngineCPUUtilization", statistic = "Average", above = 80, minutes = 5
      meaning = "the thread that runs commands is busy for more than 80 % of the time"
    }
    memory-warning = {
      metric  = "DatabaseMemoryUsagePercentage", statistic = "Maximum", above = 65, minutes = 5
      meaning = "more than 65 % of the memory is used"
    }
    memory-critical = {
      metric  = "DatabaseMemoryUsagePercentage", statistic = "Maximum", above = 80, minutes = 2
      meaning = "more than 80 % of the memory is used; when it is full, writes are refused"
    }
    evictions = {
      metric  = "Evictions", statistic = "Sum", above = 0, minutes = 1
      meaning = "keys were evicted, so maxmemory-policy is not noeviction"
    }
    connections = {
      metric  = "CurrConnections", statistic = "Maximum", above = var.expected_connections, minutes = 5
      meaning = "more connections than expected_connections"
    }
    replication-lag = {
      metric  = "ReplicationLag", statistic = "Maximum", above = 10, minutes = 5
      meaning = "the replica is more than 10 s behind; a failover would lose as much"
    }
    swap = {
      metric  = "SwapUsage", statistic = "Maximum", above = 52428800, minutes = 5
      meaning = "more than 50 MiB are swapped out"
    }
    authentication-failures = {
      metric  = "AuthenticationFailures", statistic = "Sum", above = 0, minutes = 1
      meaning = "a client came with a wrong token"
    }
  }

  member_alarms = merge([for member in local.members : {
    for name, alarm in local.alarms : "${member}-${name}" => merge(alarm, { member = member })
  }]...)
}

resource "aws_elasticache_parameter_group" "this" {
  # A change makes a new group before the old one goes, so the name tells what is in it.
  name        = "${var.name}-${local.family}-${substr(sha256(jsonencode(local.parameters)), 0, 8)}"
  family      = local.family
  description = "Queue of ${var.name}: nothing is evicted"
  tags        = var.tags

  dynamic "parameter" {
    for_each = local.parameters
    content {
      name  = parameter.key
      value = parameter.value
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_elasticache_subnet_group" "this" {
  name        = var.name
  description = "Private subnets of ${var.name}"
  subnet_ids  = var.subnet_ids
  tags        = var.tags
}

resource "aws_security_group" "this" {
  name_prefix = "${var.name}-redis-"
  description = "Queue of ${var.name}: reached by the product only"
  vpc_id      = var.vpc_id
  tags        = merge({ Name = "${var.name}-redis" }, var.tags)

  lifecycle {
    create_before_destroy = true
  }
}

# No rule for what leaves: the server answers and never calls.
resource "aws_vpc_security_group_ingress_rule" "client" {
  for_each = var.allowed_security_group_ids

  security_group_id            = aws_security_group.this.id
  referenced_security_group_id = each.value
  description                  = "${each.key} to the queue of ${var.name}"
  ip_protocol                  = "tcp"
  from_port                    = var.port
  to_port                      = var.port
  tags                         = var.tags
}

resource "aws_elasticache_replication_group" "this" {
  replication_group_id = var.name
  description          = "Queue of ${var.name}"
  engine               = var.engine
  engine_version       = local.engine_version
  node_type            = var.node_type
  port                 = var.port
  parameter_group_name = aws_elasticache_parameter_group.this.name
  tags                 = var.tags

  # One shard, and no cluster mode: the product's clients speak to one primary.
  num_cache_clusters         = var.num_cache_clusters
  cluster_mode               = "disabled"
  automatic_failover_enabled = true
  multi_az_enabled           = true

  subnet_group_name  = aws_elasticache_subnet_group.this.name
  security_group_ids = [aws_security_group.this.id]

  at_rest_encryption_enabled = true
  kms_key_id                 = var.kms_key_id
  transit_encryption_enabled = true
  transit_encryption_mode    = "required"
  auth_token                 = var.auth_token
  auth_token_update_strategy = var.auth_token_update_strategy

  snapshot_retention_limit   = var.snapshot_retention_days
  snapshot_window            = var.snapshot_window
  maintenance_window         = var.maintenance_window
  apply_immediately          = var.apply_immediately
  auto_minor_version_upgrade = var.auto_minor_version_upgrade
  notification_topic_arn     = var.notification_topic_arn

  dynamic "log_delivery_configuration" {
    for_each = var.log_delivery
    content {
      log_type         = log_delivery_configuration.key
      destination      = log_delivery_configuration.value.destination
      destination_type = log_delivery_configuration.value.destination_type
      log_format       = log_delivery_configuration.value.log_format
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "member" {
  for_each = local.member_alarms

  alarm_name          = each.key
  alarm_description   = "${each.value.member}: ${each.value.meaning}."
  namespace           = "AWS/ElastiCache"
  metric_name         = each.value.metric
  dimensions          = { CacheClusterId = each.value.member }
  statistic           = each.value.statistic
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.above
  period              = 60
  evaluation_periods  = each.value.minutes
  # A metric that a member has not, as a primary has no replication lag, is no fault.
  treat_missing_data = "notBreaching"
  alarm_actions      = var.alarm_topic_arns
  ok_actions         = var.alarm_topic_arns
  tags               = var.tags

  depends_on = [aws_elasticache_replication_group.this]
}

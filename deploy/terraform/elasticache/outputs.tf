output "endpoint" {
  description = "Host name of the primary; it stays the same over a failover."
  value       = aws_elasticache_replication_group.this.primary_endpoint_address
}

output "reader_endpoint" {
  description = "Host name of the replicas. The product does not read from them."
  value       = aws_elasticache_replication_group.this.reader_endpoint_address
}

output "port" {
  description = "Port."
  value       = var.port
}

output "tls" {
  description = "Whether TLS is required: always true."
  value       = aws_elasticache_replication_group.this.transit_encryption_mode == "required"
}

output "redis_url" {
  description = "`REDIS_URL` without the token: put it between `:` and `@`, percent-encoded."
  value       = "rediss://:@${aws_elasticache_replication_group.this.primary_endpoint_address}:${var.port}/0"
}

output "security_group_id" {
  description = "Security group of the server."
  value       = aws_security_group.this.id
}

output "parameter_group_name" {
  description = "Parameter group, with `noeviction`."
  value       = aws_elasticache_parameter_group.this.name
}

output "alarm_names" {
  description = "Names of the alarms, sorted."
  value       = sort([for alarm in aws_cloudwatch_metric_alarm.member : alarm.alarm_name])
}

output "helm_values" {
  description = "Values for the chart: `externalRedis` with host, port, TLS and the name of the secret that holds the token."
  value = {
    externalRedis = {
      host           = aws_elasticache_replication_group.this.primary_endpoint_address
      port           = var.port
      tls            = { enabled = true }
      existingSecret = var.helm_existing_secret
    }
  }
}

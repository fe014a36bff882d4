# Many wrong values in one run: each must be refused by its own variable, and starting a run takes half a second.
mock_provider "aws" {}

variables {
  vpc_id                     = "vpc-0123456789abcdef0"
  subnet_ids                 = ["subnet-0a", "subnet-0b"]
  allowed_security_group_ids = { product = "sg-0a" }
  auth_token                 = "0123456789abcdef0123456789abcdef"
}

run "a_wrong_value_of_each_variable" {
  command = plan

  variables {
    # a name in capitals
    name = "Queue"
    # another engine
    engine = "memcached"
    # an instance type
    node_type = "m7g.large"
    # a server without a replica
    num_cache_clusters = 1
    # a system port
    port = 80
    # a name as vpc
    vpc_id = "main"
    # one subnet given twice
    subnet_ids = ["subnet-0a", "subnet-0a"]
    # a range of addresses
    allowed_security_group_ids = { all = "10.0.0.0/8" }
    # a short token
    auth_token = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    # a strategy that removes the token
    auth_token_update_strategy = "DELETE"
    # a key without its arn
    kms_key_id = "alias/redis"
    # a timeout that closes waiting workers
    client_timeout_seconds = 30
    # snapshots for too long
    snapshot_retention_days = 36
    # a window at no hour
    snapshot_window = "24:00-25:00"
    # a window without a day
    maintenance_window = "05:00-06:00"
    # a log that does not exist
    log_delivery = { audit-log = { destination = "audit" } }
    # a topic without its arn
    notification_topic_arn = "events"
    # an alarm topic without its arn
    alarm_topic_arns = ["alarms"]
    # no connections
    expected_connections = 0
    # a secret that kubernetes refuses
    helm_existing_secret = "Redis_Token"
    # a tag that belongs to aws
    tags = { "aws:owner" = "me" }
  }

  expect_failures = [
    var.name,
    var.engine,
    var.node_type,
    var.num_cache_clusters,
    var.port,
    var.vpc_id,
    var.subnet_ids,
    var.allowed_security_group_ids,
    var.auth_token,
    var.auth_token_update_strategy,
    var.kms_key_id,
    var.client_timeout_seconds,
    var.snapshot_retention_days,
    var.snapshot_window,
    var.maintenance_window,
    var.log_delivery,
    var.notification_topic_arn,
    var.alarm_topic_arns,
    var.expected_connections,
    var.helm_existing_secret,
    var.tags,
  ]
}

run "another_wrong_value" {
  command = plan

  variables {
    # a version that is too old
    engine_version = "6.2"
    # a name that is too long
    name = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    # nobody who may connect
    allowed_security_group_ids = {}
    # a token with a character that aws refuses
    auth_token = "0123456789abcdef0123456789abcdef@"
    # a log in another format
    log_delivery = { slow-log = { destination = "slow", log_format = "xml" } }
  }

  expect_failures = [
    var.engine_version,
    var.name,
    var.allowed_security_group_ids,
    var.auth_token,
    var.log_delivery,
  ]
}

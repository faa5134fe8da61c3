# Logs, and alarms of three kinds: what Keyturn tells (each of its alerts is a line), what it cannot tell because it is not
# there, and what its database is short of.

resource "aws_cloudwatch_log_group" "service" {
  name              = "/${var.name}/service"
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.this.arn
  tags              = var.tags
}

locals {
  severities = toset(["critical", "warning"])
  # Each alert is told once: by a replica, or by the function of the hook.
  alert_logs = merge({ service = aws_cloudwatch_log_group.service.name }, { for name in keys(local.hooks) : "hook" => aws_cloudwatch_log_group.hook[0].name })
}

resource "aws_cloudwatch_log_metric_filter" "alerts" {
  for_each = { for pair in setproduct(local.severities, keys(local.alert_logs)) : "${pair[0]} ${pair[1]}" => { severity = pair[0], log = pair[1] } }

  name           = "${var.name}-alerts-${each.value.severity}"
  log_group_name = local.alert_logs[each.value.log]
  pattern        = "{ ($.message = \"an alert\") && ($.isOver IS FALSE) && ($.severity = \"${each.value.severity}\") }"

  metric_transformation {
    namespace     = "Keyturn/${var.name}"
    name          = "Alerts-${each.value.severity}"
    value         = "1"
    default_value = "0"
    unit          = "Count"
  }
}

resource "aws_cloudwatch_metric_alarm" "alerts" {
  for_each = local.severities

  alarm_name          = "${var.name}-alerts-${each.value}"
  alarm_description   = "Keyturn told of a ${each.value} alert. What it is and what to do stands in the log group ${join(" or ", values(local.alert_logs))}: search for \"an alert\". The end of the alert is a line there too."
  namespace           = "Keyturn/${var.name}"
  metric_name         = "Alerts-${each.value}"
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "replicas" {
  alarm_name          = "${var.name}-replicas"
  alarm_description   = "Fewer than two replicas of Keyturn run. Look at the events of the ECS service ${var.name}."
  namespace           = "ECS/ContainerInsights"
  metric_name         = "RunningTaskCount"
  statistic           = "Minimum"
  period              = 60
  evaluation_periods  = 3
  comparison_operator = "LessThanThreshold"
  threshold           = 2
  treat_missing_data  = "breaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = var.tags

  # Not the healthy hosts of the load balancer, which may be counted for each of its zones.
  dimensions = {
    ClusterName = aws_ecs_cluster.this.name
    ServiceName = aws_ecs_service.this.name
  }
}

resource "aws_cloudwatch_metric_alarm" "unhealthy" {
  alarm_name          = "${var.name}-unhealthy"
  alarm_description   = "A replica of Keyturn runs and does not answer the load balancer. Look at its log and at the security groups."
  namespace           = "AWS/ApplicationELB"
  metric_name         = "UnHealthyHostCount"
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 5
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = var.tags

  dimensions = {
    LoadBalancer = aws_lb.this.arn_suffix
    TargetGroup  = aws_lb_target_group.this.arn_suffix
  }
}

# 503 is the answer where no key can be handed out.
resource "aws_cloudwatch_metric_alarm" "refusals" {
  alarm_name          = "${var.name}-refusals"
  alarm_description   = "Keyturn answers apps with 5xx: no key can be handed out, or it is not there. See docs/symptoms/no-verified-key.md."
  namespace           = "AWS/ApplicationELB"
  metric_name         = "HTTPCode_Target_5XX_Count"
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 3
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = var.tags

  dimensions = {
    LoadBalancer = aws_lb.this.arn_suffix
  }
}

resource "aws_cloudwatch_metric_alarm" "ledger_storage" {
  alarm_name          = "${var.name}-ledger-storage"
  alarm_description   = "The database of Keyturn has less than 2 GB left, and grows by itself up to 100 GB only."
  namespace           = "AWS/RDS"
  metric_name         = "FreeStorageSpace"
  statistic           = "Minimum"
  period              = 300
  evaluation_periods  = 3
  comparison_operator = "LessThanThreshold"
  threshold           = 2000000000
  treat_missing_data  = "breaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = var.tags

  dimensions = {
    DBInstanceIdentifier = aws_db_instance.ledger.identifier
  }
}

# The function of the hook, where there is one.
resource "aws_cloudwatch_metric_alarm" "hook" {
  count = var.hook == null ? 0 : 1

  alarm_name          = "${var.name}-hook"
  alarm_description   = "The function by which Secrets Manager has keys turned fails again and again. Its log group is ${aws_cloudwatch_log_group.hook[0].name}."
  namespace           = "AWS/Lambda"
  metric_name         = "Errors"
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = 2
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 3
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = var.tags

  dimensions = {
    FunctionName = aws_lambda_function.hook[0].function_name
  }
}

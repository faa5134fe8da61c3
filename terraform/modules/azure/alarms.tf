# Logs, and alarms of three kinds: what Keyturn tells (each of its alerts is a line), what it cannot tell because it is not
# there, and what its database is short of.

resource "azurerm_log_analytics_workspace" "this" {
  name                = var.name
  resource_group_name = var.resource_group_name
  location            = var.location
  sku                 = "PerGB2018"
  retention_in_days   = var.log_retention_days
  tags                = var.tags
}

# Who read and wrote which secret.
resource "azurerm_monitor_diagnostic_setting" "vault" {
  name                       = "audit"
  target_resource_id         = azurerm_key_vault.this.id
  log_analytics_workspace_id = azurerm_log_analytics_workspace.this.id

  enabled_log {
    category = "AuditEvent"
  }
}

resource "azurerm_monitor_diagnostic_setting" "ledger" {
  name                       = "logs"
  target_resource_id         = azurerm_postgresql_flexible_server.ledger.id
  log_analytics_workspace_id = azurerm_log_analytics_workspace.this.id

  enabled_log {
    category = "PostgreSQLLogs"
  }
}

resource "azurerm_monitor_scheduled_query_rules_alert_v2" "alerts" {
  for_each = { critical = 1, warning = 2 }

  name                 = "${var.name}-alerts-${each.key}"
  display_name         = "${var.name}: a ${each.key} alert"
  description          = "Keyturn told of a ${each.key} alert. What it is and what to do stands in the log: search for \"an alert\". The end of the alert is a line there too."
  resource_group_name  = var.resource_group_name
  location             = var.location
  scopes               = [azurerm_log_analytics_workspace.this.id]
  severity             = each.value
  evaluation_frequency = "PT5M"
  window_duration      = "PT5M"
  tags                 = var.tags

  # The table is there with the first line.
  skip_query_validation = true

  criteria {
    query                   = <<-KQL
      ContainerAppConsoleLogs_CL
      | where ContainerAppName_s == "${var.name}"
      | extend line = parse_json(Log_s)
      | where line.message == "an alert" and line.isOver == false and line.severity == "${each.key}"
    KQL
    time_aggregation_method = "Count"
    operator                = "GreaterThan"
    threshold               = 0
  }

  action {
    action_groups = var.action_group_ids
  }
}

resource "azurerm_monitor_metric_alert" "replicas" {
  name                = "${var.name}-replicas"
  description         = "Fewer than two replicas of Keyturn run. Look at the revisions of the container app and at their logs."
  resource_group_name = var.resource_group_name
  scopes              = [azurerm_container_app.this.id]
  severity            = 1
  frequency           = "PT1M"
  window_size         = "PT5M"
  tags                = var.tags

  criteria {
    metric_namespace = "Microsoft.App/containerApps"
    metric_name      = "Replicas"
    aggregation      = "Maximum"
    operator         = "LessThan"
    threshold        = 2
  }

  dynamic "action" {
    for_each = var.action_group_ids

    content {
      action_group_id = action.value
    }
  }
}

# 503 is the answer where no key can be handed out.
resource "azurerm_monitor_metric_alert" "refusals" {
  name                = "${var.name}-refusals"
  description         = "Keyturn answers apps with 5xx: no key can be handed out, or it is not there. See docs/symptoms/no-verified-key.md."
  resource_group_name = var.resource_group_name
  scopes              = [azurerm_container_app.this.id]
  severity            = 1
  frequency           = "PT1M"
  window_size         = "PT5M"
  tags                = var.tags

  criteria {
    metric_namespace = "Microsoft.App/containerApps"
    metric_name      = "Requests"
    aggregation      = "Total"
    operator         = "GreaterThan"
    threshold        = 0

    dimension {
      name     = "statusCodeCategory"
      operator = "Include"
      values   = ["5xx"]
    }
  }

  dynamic "action" {
    for_each = var.action_group_ids

    content {
      action_group_id = action.value
    }
  }
}

resource "azurerm_monitor_metric_alert" "ledger_storage" {
  name                = "${var.name}-ledger-storage"
  description         = "The disk of Keyturn's database is more than 85% full."
  resource_group_name = var.resource_group_name
  scopes              = [azurerm_postgresql_flexible_server.ledger.id]
  severity            = 2
  frequency           = "PT5M"
  window_size         = "PT15M"
  tags                = var.tags

  criteria {
    metric_namespace = "Microsoft.DBforPostgreSQL/flexibleServers"
    metric_name      = "storage_percent"
    aggregation      = "Average"
    operator         = "GreaterThan"
    threshold        = 85
  }

  dynamic "action" {
    for_each = var.action_group_ids

    content {
      action_group_id = action.value
    }
  }
}

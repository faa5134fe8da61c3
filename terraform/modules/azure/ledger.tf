# PostgreSQL for the replicas: encrypted at rest and on the way, in two zones, without a public address.

resource "azurerm_postgresql_flexible_server" "ledger" {
  name                          = var.name
  resource_group_name           = var.resource_group_name
  location                      = var.location
  version                       = var.ledger_version
  sku_name                      = var.ledger_sku
  storage_mb                    = 32768
  auto_grow_enabled             = true
  delegated_subnet_id           = var.database_subnet_id
  private_dns_zone_id           = var.database_dns_zone_id
  public_network_access_enabled = false
  backup_retention_days         = 14
  administrator_login           = "keyturn"
  # Keyturn makes its two schemas as the owner of the database; nothing else is in this server.
  administrator_password_wo         = ephemeral.random_password.ledger.result
  administrator_password_wo_version = var.ledger_password_version
  tags                              = var.tags

  high_availability {
    mode = "ZoneRedundant"
  }

  authentication {
    # Keyturn shows a password: tokens of Entra live for an hour, and it could not ask for the next one.
    password_auth_enabled         = true
    active_directory_auth_enabled = false
  }

  lifecycle {
    # Azure chooses them, and swaps them when the standby takes over.
    ignore_changes = [zone, high_availability[0].standby_availability_zone]
  }
}

resource "azurerm_postgresql_flexible_server_configuration" "tls" {
  for_each = { require_secure_transport = "on", ssl_min_protocol_version = "TLSv1.2" }

  server_id = azurerm_postgresql_flexible_server.ledger.id
  name      = each.key
  value     = each.value

  # One after the other: a server that is busy refuses what comes meanwhile.
  depends_on = [azurerm_postgresql_flexible_server_database.ledger]
}

resource "azurerm_postgresql_flexible_server_database" "ledger" {
  name      = "keyturn"
  server_id = azurerm_postgresql_flexible_server.ledger.id
  charset   = "UTF8"
  collation = "en_US.utf8"
}

resource "azurerm_management_lock" "ledger" {
  count = var.deletion_protection ? 1 : 0

  name       = "${var.name}-ledger"
  scope      = azurerm_postgresql_flexible_server.ledger.id
  lock_level = "CanNotDelete"
  notes      = "The ledger of Keyturn"

  # It is for all that hangs on the server: it has to go first.
  depends_on = [
    azurerm_monitor_diagnostic_setting.ledger,
    azurerm_postgresql_flexible_server_configuration.tls,
  ]
}

# A key vault for Keyturn alone. Azure has no secrets without a value, so each begins with one that Keyturn takes for none.

data "azurerm_client_config" "current" {}

locals {
  admin_secrets = { for name in keys(var.issuers) : name => "${name}-admin" }
  # Each, and beside it a second one in which keys that are not proven yet are kept away from readers.
  turned    = toset(flatten([for name in concat(keys(var.credentials), values(local.admin_secrets)) : [name, "${name}-keyturn"]]))
  vault_url = trimsuffix(azurerm_key_vault.this.vault_uri, "/")
}

# Deleted, it and its secrets can be brought back for 90 days. A lock would hold on to role assignments as well.
resource "azurerm_key_vault" "this" {
  name                          = var.name
  resource_group_name           = var.resource_group_name
  location                      = var.location
  tenant_id                     = data.azurerm_client_config.current.tenant_id
  sku_name                      = "standard"
  rbac_authorization_enabled    = true
  purge_protection_enabled      = true
  soft_delete_retention_days    = 90
  public_network_access_enabled = length(var.vault_allowed_addresses) > 0
  tags                          = var.tags

  network_acls {
    default_action = "Deny"
    bypass         = "None"
    ip_rules       = var.vault_allowed_addresses
  }
}

resource "azurerm_private_endpoint" "vault" {
  name                = "${var.name}-vault"
  resource_group_name = var.resource_group_name
  location            = var.location
  subnet_id           = var.endpoints_subnet_id
  tags                = var.tags

  private_service_connection {
    name                           = "${var.name}-vault"
    private_connection_resource_id = azurerm_key_vault.this.id
    subresource_names              = ["vault"]
    is_manual_connection           = false
  }

  private_dns_zone_group {
    name                 = "vault"
    private_dns_zone_ids = [var.vault_dns_zone_id]
  }
}

# Whoever runs Terraform puts the first values there. It may set secrets of this vault and read them; nobody else is let in so far.
resource "azurerm_role_assignment" "terraform" {
  for_each = length(var.terraform_principal_ids) == 0 ? { current = data.azurerm_client_config.current.object_id } : var.terraform_principal_ids

  scope                = azurerm_key_vault.this.id
  role_definition_name = "Key Vault Secrets Officer"
  principal_id         = each.value
}

resource "azurerm_key_vault_secret" "key" {
  for_each = local.turned

  name             = each.value
  key_vault_id     = azurerm_key_vault.this.id
  value_wo         = "no-key-yet"
  value_wo_version = 1

  lifecycle {
    # Keyturn's from here on.
    ignore_changes = [value_wo_version, tags, expiration_date, content_type, not_before_date]
  }

  depends_on = [azurerm_role_assignment.terraform, azurerm_private_endpoint.vault]
}

# Made anew in every run and used where its version rises: neither a plan nor a state holds it.
ephemeral "random_password" "ledger" {
  length  = 40
  special = false
}

resource "azurerm_key_vault_secret" "ledger" {
  name             = "ledger-password"
  key_vault_id     = azurerm_key_vault.this.id
  content_type     = "Password of the database of Keyturn"
  value_wo         = ephemeral.random_password.ledger.result
  value_wo_version = var.ledger_password_version
  tags             = var.tags

  depends_on = [azurerm_role_assignment.terraform, azurerm_private_endpoint.vault]
}

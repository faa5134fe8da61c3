# Who may do what, and nothing wider: what docs/stores.md says that the driver calls, on single secrets.

resource "azurerm_user_assigned_identity" "rotator" {
  name                = "${var.name}-rotator"
  resource_group_name = var.resource_group_name
  location            = var.location
  tags                = var.tags
}

# ---------------------------------------------------------------- the reader: apps that read the vault themselves

resource "azurerm_role_definition" "reader" {
  name        = "Keyturn reader (${var.name})"
  scope       = local.resource_group_id
  description = "Reads keys that Keyturn looks after"

  permissions {
    actions     = []
    not_actions = []
    data_actions = [
      "Microsoft.KeyVault/vaults/secrets/getSecret/action",
      "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
    ]
  }

  assignable_scopes = [local.resource_group_id]
}

locals {
  # Azure defines roles for a resource group at least; they are assigned on single secrets.
  resource_group_id = "/subscriptions/${data.azurerm_client_config.current.subscription_id}/resourceGroups/${var.resource_group_name}"

  reads = { for pair in setproduct(keys(var.credentials), keys(var.reader_principal_ids)) : "${pair[0]} ${pair[1]}" => { credential = pair[0], principal = pair[1] } }
}

resource "azurerm_role_assignment" "reader" {
  for_each = local.reads

  scope              = azurerm_key_vault_secret.key[each.value.credential].resource_versionless_id
  role_definition_id = azurerm_role_definition.reader.role_definition_resource_id
  principal_id       = var.reader_principal_ids[each.value.principal]
}

# ---------------------------------------------------------------- the rotator: the service itself

# The role that Azure has for this may delete and purge as well.
resource "azurerm_role_definition" "rotator" {
  name        = "Keyturn rotator (${var.name})"
  scope       = local.resource_group_id
  description = "Reads and turns the keys that Keyturn looks after; cannot delete secrets"

  permissions {
    actions     = []
    not_actions = []
    data_actions = [
      "Microsoft.KeyVault/vaults/secrets/getSecret/action",
      "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
      "Microsoft.KeyVault/vaults/secrets/setSecret/action",
      "Microsoft.KeyVault/vaults/secrets/update/action",
    ]
  }

  assignable_scopes = [local.resource_group_id]
}

resource "azurerm_role_assignment" "rotator" {
  for_each = local.turned

  scope              = azurerm_key_vault_secret.key[each.value].resource_versionless_id
  role_definition_id = azurerm_role_definition.rotator.role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.rotator.principal_id
  # It may be so new that the directory does not know it yet.
  principal_type = "ServicePrincipal"
}

resource "azurerm_role_assignment" "ledger_password" {
  scope              = azurerm_key_vault_secret.ledger.resource_versionless_id
  role_definition_id = azurerm_role_definition.reader.role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.rotator.principal_id
  principal_type     = "ServicePrincipal"
}

resource "azurerm_role_assignment" "environment" {
  for_each = var.environment_secrets

  scope              = each.value.resource_versionless_id
  role_definition_id = azurerm_role_definition.reader.role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.rotator.principal_id
  principal_type     = "ServicePrincipal"
}

resource "azurerm_role_assignment" "pull" {
  count = var.image_registry == null ? 0 : 1

  scope                = var.image_registry.id
  role_definition_name = "AcrPull"
  principal_id         = azurerm_user_assigned_identity.rotator.principal_id
  principal_type       = "ServicePrincipal"
}

# Key Vault's word that a secret is about to expire (docs/native-rotation.md), over Event Grid. Keyturn sets the expiry of a
# version to that of its key.

resource "azurerm_eventgrid_system_topic" "hook" {
  count = var.hook == null ? 0 : 1

  name                = "${var.name}-vault"
  resource_group_name = var.resource_group_name
  location            = var.location
  source_resource_id  = azurerm_key_vault.this.id
  topic_type          = "Microsoft.KeyVault.vaults"
  tags                = var.tags
}

resource "azurerm_eventgrid_system_topic_event_subscription" "hook" {
  count = var.hook == null ? 0 : 1

  name                  = var.name
  system_topic          = azurerm_eventgrid_system_topic.hook[0].name
  resource_group_name   = var.resource_group_name
  event_delivery_schema = "CloudEventSchemaV1_0"
  included_event_types  = ["Microsoft.KeyVault.SecretNearExpiry", "Microsoft.KeyVault.SecretExpired"]

  webhook_endpoint {
    url                               = "${var.hook.endpoint}/v1/hooks/azure-event-grid"
    active_directory_tenant_id        = var.hook.tenant_id
    active_directory_app_id_or_uri    = var.hook.application_id
    max_events_per_batch              = 1
    preferred_batch_size_in_kilobytes = 64
  }

  retry_policy {
    max_delivery_attempts = 30
    event_time_to_live    = 1440
  }

  # Event Grid asks the service whether it wants to be told before the subscription is made.
  depends_on = [azurerm_container_app.this]
}

# With mocks in place of Azure: what a plan comes to, and what is refused before there is one.

mock_provider "azurerm" {
  mock_data "azurerm_client_config" {
    defaults = { tenant_id = "00000000-0000-0000-0000-000000000001", object_id = "00000000-0000-0000-0000-000000000002" }
  }

  mock_resource "azurerm_key_vault" {
    defaults = { vault_uri = "https://keyturn.vault.azure.net/" }
  }

  mock_resource "azurerm_postgresql_flexible_server" {
    defaults = { fqdn = "keyturn.postgres.database.azure.com" }
  }

  mock_resource "azurerm_container_app_environment" {
    defaults = { default_domain = "abc.germanywestcentral.azurecontainerapps.io", static_ip_address = "10.74.0.10" }
  }

  mock_resource "azurerm_user_assigned_identity" {
    defaults = { client_id = "00000000-0000-0000-0000-000000000003" }
  }
}

variables {
  resource_group_name  = "keyturn"
  location             = "germanywestcentral"
  image                = "example.azurecr.io/keyturn@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  virtual_network_id   = "/subscriptions/1/resourceGroups/keyturn/providers/Microsoft.Network/virtualNetworks/keyturn"
  service_subnet       = { id = "/subscriptions/1/subnets/service", address_prefix = "10.74.0.0/23" }
  database_subnet_id   = "/subscriptions/1/subnets/database"
  database_dns_zone_id = "/subscriptions/1/zones/database"
  endpoints_subnet_id  = "/subscriptions/1/subnets/endpoints"
  vault_dns_zone_id    = "/subscriptions/1/zones/vault"
  issuers              = { main = { project = "proj_abc", service_account = "svc_acct_abc" } }
  credentials          = { openai = { issuer = "main", models = ["gpt-5"] }, brought = { overlap = "72h" } }
}

run "by_default" {
  command = apply

  assert {
    condition     = azurerm_container_app.this.template[0].min_replicas == 2
    error_message = "Two replicas."
  }

  assert {
    condition     = azurerm_container_app.this.template[0].http_scale_rule[0].concurrent_requests == "1000"
    error_message = "Streams that apps hold open begin no further replica."
  }

  assert {
    condition     = [for one in azurerm_role_assignment.terraform : one.principal_id] == ["00000000-0000-0000-0000-000000000002"]
    error_message = "Whoever runs Terraform may set secrets of the vault."
  }

  assert {
    condition     = azurerm_key_vault.this.public_network_access_enabled == false
    error_message = "The vault has no public address."
  }

  assert {
    condition     = length(azurerm_key_vault_secret.key) == 6 && length(azurerm_role_assignment.rotator) == 6 && length(azurerm_role_assignment.reader) == 0
    error_message = "Each secret has a second one, the rotator both, and nobody else reads them."
  }

  assert {
    condition     = yamldecode(output.configuration).ledger.url == "postgres://keyturn@keyturn.postgres.database.azure.com:5432/keyturn" && yamldecode(output.configuration).ledger.tls == {}
    error_message = "The ledger is the database of the module, and its certificate is checked."
  }

  assert {
    condition     = yamldecode(output.configuration).allowedHosts == ["keyturn.abc.germanywestcentral.azurecontainerapps.io"]
    error_message = "The service answers to the name that Azure gives it."
  }

  assert {
    condition     = !strcontains(output.configuration, "made-up")
    error_message = "No password is in the configuration."
  }
}

run "hook" {
  command = apply

  variables {
    hook                 = { endpoint = "https://keyturn.example.com", tenant_id = "00000000-0000-0000-0000-000000000001", application_id = "00000000-0000-0000-0000-000000000004" }
    reader_principal_ids = { app = "00000000-0000-0000-0000-000000000005" }
  }

  assert {
    condition     = azurerm_eventgrid_system_topic_event_subscription.hook[0].webhook_endpoint[0].url == "https://keyturn.example.com/v1/hooks/azure-event-grid"
    error_message = "Event Grid reaches the gateway in front of the service."
  }

  assert {
    condition     = yamldecode(output.configuration).hooks.azureEventGrid && yamldecode(output.configuration).access.jwt[0].grants[0].credentials == ["openai"]
    error_message = "Event Grid may say it of keys that are minted."
  }

  assert {
    condition     = length(azurerm_role_assignment.reader) == 2
    error_message = "The reader reads the two keys, and neither admin keys nor what is kept beside them."
  }
}

run "several_who_run_terraform" {
  command = apply

  variables {
    terraform_principal_ids = { pipeline = "00000000-0000-0000-0000-000000000007", platform = "00000000-0000-0000-0000-000000000008" }
  }

  assert {
    condition     = toset([for one in azurerm_role_assignment.terraform : one.principal_id]) == toset(["00000000-0000-0000-0000-000000000007", "00000000-0000-0000-0000-000000000008"])
    error_message = "Whoever plans next may read the vault too."
  }
}

run "image_by_tag" {
  command = plan

  variables {
    image = "keyturn:latest"
  }

  expect_failures = [var.image]
}

run "one_replica" {
  command = plan

  variables {
    replicas = 1
  }

  expect_failures = [var.replicas]
}

run "database_without_standby" {
  command = plan

  variables {
    ledger_sku = "B_Standard_B1ms"
  }

  expect_failures = [var.ledger_sku]
}

run "vault_for_everybody" {
  command = plan

  variables {
    vault_allowed_addresses = ["0.0.0.0/0"]
  }

  expect_failures = [var.vault_allowed_addresses]
}

run "name_of_another_secret" {
  command = plan

  variables {
    credentials = { ledger-password = {} }
  }

  expect_failures = [var.credentials]
}

run "name_that_a_vault_cannot_have" {
  command = plan

  variables {
    name = "acme--keyturn"
  }

  expect_failures = [var.name]
}

run "no_size_of_container_apps" {
  command = plan

  variables {
    cpu    = 1
    memory = "1Gi"
  }

  expect_failures = [var.memory]
}

run "channels_of_your_own" {
  command = apply

  variables {
    environment_secrets = { SLACK_WEBHOOK_URL = { versionless_id = "https://acme.vault.azure.net/secrets/slack", resource_versionless_id = "/subscriptions/1/vaults/acme/secrets/slack" } }
    settings            = { alerts = { channels = { team = { kind = "slack", url = { env = "SLACK_WEBHOOK_URL" } } } } }
  }

  assert {
    condition     = toset([for one in azurerm_container_app.this.template[0].container[0].env : one.secret_name if one.secret_name != null]) == toset(["ledger-password", "environment-slack-webhook-url"]) && length(azurerm_container_app.this.secret) == 2
    error_message = "A replica gets what settings name."
  }

  assert {
    condition     = azurerm_role_assignment.environment["SLACK_WEBHOOK_URL"].scope == "/subscriptions/1/vaults/acme/secrets/slack"
    error_message = "The service may read it."
  }
}

run "channel_without_its_secret" {
  command = plan

  variables {
    settings = { alerts = { channels = { team = { kind = "slack", url = { env = "SLACK_WEBHOOK_URL" } } } } }
  }

  expect_failures = [var.environment_secrets]
}

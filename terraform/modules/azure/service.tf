# Two replicas or more on Container Apps, which only the network can reach.

module "configuration" {
  source = "../configuration"

  store         = { kind = "azure-key-vault", vault = local.vault_url, clientId = azurerm_user_assigned_identity.rotator.client_id }
  issuers       = var.issuers
  credentials   = var.credentials
  secrets       = { for name in keys(var.credentials) : name => name }
  admin_secrets = local.admin_secrets
  hosts         = concat([local.app_host], var.host_names)
  # The platform's proxies: in the subnet of the service, and in addresses that Container Apps keeps for itself.
  trusted_proxies = [var.service_subnet.address_prefix, "100.100.0.0/16"]
  audit_megabytes = 256
  native_schedule = var.hook != null
  hooks           = var.hook == null ? {} : { azureEventGrid = true }
  rules = var.hook == null ? [] : [{
    name     = "rotation-schedule"
    issuer   = "https://login.microsoftonline.com/${var.hook.tenant_id}/v2.0"
    audience = var.hook.application_id
    # Event Grid itself, by the id that it has in every tenant.
    claims = { azp = "4962773b-9cdb-44cf-a8bf-237846a00ab7" }
    grants = [{ credentials = [for name, one in var.credentials : name if one.issuer != null], may = ["hook"] }]
  }]
  settings = var.settings

  ledger = {
    host              = azurerm_postgresql_flexible_server.ledger.fqdn
    database          = azurerm_postgresql_flexible_server_database.ledger.name
    user              = azurerm_postgresql_flexible_server.ledger.administrator_login
    password_variable = "KEYTURN_LEDGER_PASSWORD"
  }
}

locals {
  app_host = "${var.name}.${azurerm_container_app_environment.this.default_domain}"
  # A volume of the replica, empty when it begins; the home is a folder of its own in it, since the volume is open to all.
  state = "/var/lib/keyturn"
  files = { "keyturn.yaml" = module.configuration.yaml }
  # Container Apps calls secrets by small letters.
  environment_names = { for name in keys(var.environment_secrets) : name => "environment-${lower(replace(name, "_", "-"))}" }

  write_files = "const{mkdirSync,writeFileSync}=require('node:fs');const folder='${local.state}/config';mkdirSync(folder,{recursive:true});for(const[name,text]of Object.entries(JSON.parse(process.env.KEYTURN_FILES)))writeFileSync(folder+'/'+name,text)"
}

resource "azurerm_container_app_environment" "this" {
  name                           = var.name
  resource_group_name            = var.resource_group_name
  location                       = var.location
  infrastructure_subnet_id       = var.service_subnet.id
  internal_load_balancer_enabled = true
  zone_redundancy_enabled        = true
  mutual_tls_enabled             = true
  logs_destination               = "log-analytics"
  log_analytics_workspace_id     = azurerm_log_analytics_workspace.this.id
  tags                           = var.tags

  workload_profile {
    name                  = "Consumption"
    workload_profile_type = "Consumption"
  }

  lifecycle {
    # Azure makes it and gives it a name.
    ignore_changes = [infrastructure_resource_group_name]
  }
}

resource "azurerm_container_app" "this" {
  name                         = var.name
  resource_group_name          = var.resource_group_name
  container_app_environment_id = azurerm_container_app_environment.this.id
  workload_profile_name        = "Consumption"
  revision_mode                = "Single"
  tags                         = var.tags

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.rotator.id]
  }

  dynamic "registry" {
    for_each = var.image_registry == null ? [] : [var.image_registry]

    content {
      server   = registry.value.server
      identity = azurerm_user_assigned_identity.rotator.id
    }
  }

  # By its name without a version, so that Azure looks for a new one by itself.
  secret {
    name                = "ledger-password"
    key_vault_secret_id = azurerm_key_vault_secret.ledger.versionless_id
    identity            = azurerm_user_assigned_identity.rotator.id
  }

  dynamic "secret" {
    for_each = var.environment_secrets

    content {
      name                = local.environment_names[secret.key]
      key_vault_secret_id = secret.value.versionless_id
      identity            = azurerm_user_assigned_identity.rotator.id
    }
  }

  # In an internal environment "external" is the network around it, and nobody beyond.
  ingress {
    external_enabled           = true
    allow_insecure_connections = false
    target_port                = 7420
    transport                  = "http"

    traffic_weight {
      latest_revision = true
      percentage      = 100
    }
  }

  template {
    min_replicas                     = var.replicas
    max_replicas                     = var.replicas_max
    termination_grace_period_seconds = 30

    # An app holds a stream of events open; where nothing is said, Azure begins another replica for every ten of them.
    http_scale_rule {
      name                = "streams"
      concurrent_requests = "1000"
    }

    # Container Apps mounts no files but secrets: the configuration, which holds none, is written down before the service starts.
    init_container {
      name    = "configuration"
      image   = var.image
      cpu     = 0.25
      memory  = "0.5Gi"
      command = ["/usr/local/bin/node"]
      args    = ["-e", local.write_files]

      env {
        name  = "KEYTURN_FILES"
        value = jsonencode(local.files)
      }

      volume_mounts {
        name = "state"
        path = local.state
      }
    }

    container {
      name   = "keyturn"
      image  = var.image
      cpu    = var.cpu
      memory = var.memory

      env {
        name  = "KEYTURN_CONFIG"
        value = "${local.state}/config/keyturn.yaml"
      }

      env {
        name  = "KEYTURN_HOME"
        value = "${local.state}/home"
      }

      env {
        name        = "KEYTURN_LEDGER_PASSWORD"
        secret_name = "ledger-password"
      }

      dynamic "env" {
        for_each = local.environment_names

        content {
          name        = env.key
          secret_name = env.value
        }
      }

      volume_mounts {
        name = "state"
        path = local.state
      }

      startup_probe {
        transport               = "TCP"
        port                    = 7420
        interval_seconds        = 5
        failure_count_threshold = 24
      }

      # Whether the process turns, not whether a key can be handed out: a replica without one must be looked at, not replaced.
      liveness_probe {
        transport               = "HTTP"
        path                    = "/healthz"
        port                    = 7420
        interval_seconds        = 10
        timeout                 = 5
        failure_count_threshold = 3
      }

      readiness_probe {
        transport        = "HTTP"
        path             = "/healthz"
        port             = 7420
        interval_seconds = 5
      }
    }

    volume {
      name         = "state"
      storage_type = "EmptyDir"
    }
  }

  depends_on = [azurerm_role_assignment.rotator, azurerm_role_assignment.ledger_password, azurerm_role_assignment.environment, azurerm_role_assignment.pull]
}

# The name of the service, for machines of the network.
resource "azurerm_private_dns_zone" "service" {
  name                = azurerm_container_app_environment.this.default_domain
  resource_group_name = var.resource_group_name
  tags                = var.tags
}

resource "azurerm_private_dns_a_record" "service" {
  name                = "*"
  zone_name           = azurerm_private_dns_zone.service.name
  resource_group_name = var.resource_group_name
  ttl                 = 300
  records             = [azurerm_container_app_environment.this.static_ip_address]
  tags                = var.tags
}

resource "azurerm_private_dns_zone_virtual_network_link" "service" {
  name                  = "${var.name}-service"
  resource_group_name   = var.resource_group_name
  private_dns_zone_name = azurerm_private_dns_zone.service.name
  virtual_network_id    = var.virtual_network_id
  tags                  = var.tags
}

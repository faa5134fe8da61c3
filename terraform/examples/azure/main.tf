# Keyturn on Azure, from nothing but a resource group: a network, and in it two replicas with their database.
# docs/terraform.md goes through it.

terraform {
  required_version = ">= 1.11, < 2.0"

  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 4.55"
    }
  }
}

provider "azurerm" {
  subscription_id = var.subscription_id
  # Container Apps is not among the services that this version switches on by itself.
  resource_providers_to_register = ["Microsoft.App"]

  features {
    key_vault {
      purge_soft_delete_on_destroy = false
    }
  }
}

resource "azurerm_resource_group" "this" {
  name     = var.name
  location = var.location
}

module "network" {
  source = "../../modules/azure/network"

  name                = var.name
  resource_group_name = azurerm_resource_group.this.name
  location            = azurerm_resource_group.this.location
}

module "keyturn" {
  source = "../../modules/azure"

  name                = var.name
  resource_group_name = azurerm_resource_group.this.name
  location            = azurerm_resource_group.this.location
  image               = var.image
  image_registry      = var.image_registry

  virtual_network_id      = module.network.virtual_network_id
  service_subnet          = module.network.service_subnet
  database_subnet_id      = module.network.database_subnet_id
  database_dns_zone_id    = module.network.database_dns_zone_id
  endpoints_subnet_id     = module.network.endpoints_subnet_id
  vault_dns_zone_id       = module.network.vault_dns_zone_id
  vault_allowed_addresses = var.terraform_addresses

  issuers     = { main = { project = var.openai_project, service_account = var.openai_service_account } }
  credentials = { openai = { issuer = "main" } }

  # People and apps show tokens of Entra; a token made at a replica would need a way into it.
  settings = {
    access = {
      jwt = [
        {
          name     = "operators"
          issuer   = "https://login.microsoftonline.com/${var.tenant_id}/v2.0"
          audience = var.application_id
          claims   = { roles = "operator" }
          grants   = [{ credentials = ["*"], may = ["operate", "audit"] }, { may = ["metrics", "dashboard"] }]
        },
        {
          name     = "apps"
          issuer   = "https://login.microsoftonline.com/${var.tenant_id}/v2.0"
          audience = var.application_id
          claims   = { roles = "app" }
          grants   = [{ credentials = ["openai"], may = ["read"] }]
        },
      ]
    }
  }

  action_group_ids = var.action_group_ids
  hook             = var.hook
}

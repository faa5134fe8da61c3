# Keyturn on Google Cloud, from nothing: a network, and in it two replicas with their database. docs/terraform.md goes through it.

terraform {
  required_version = ">= 1.11, < 2.0"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50"
    }
  }
}

provider "google" {
  project = var.project
  region  = var.region
}

resource "google_project_service" "this" {
  for_each = toset([
    "cloudkms.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "compute.googleapis.com",
    "iam.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "servicenetworking.googleapis.com",
    "sqladmin.googleapis.com",
  ])

  project            = var.project
  service            = each.value
  disable_on_destroy = false
}

module "network" {
  source = "../../modules/google/network"

  project = var.project
  region  = var.region

  depends_on = [google_project_service.this]
}

module "keyturn" {
  source = "../../modules/google"

  project = var.project
  region  = var.region
  image   = var.image

  network_id    = module.network.network_id
  subnetwork_id = module.network.subnetwork_id

  issuers     = { main = { project = var.openai_project, service_account = var.openai_service_account } }
  credentials = { openai = { issuer = "main" } }

  # People and apps show identity tokens of Google; a token made at a replica would need a way into it.
  settings = {
    access = {
      jwt = concat(
        [for index, email in var.operators : {
          name      = "operator-${index}"
          issuer    = "https://accounts.google.com"
          audience  = "keyturn"
          claims    = { email = email, email_verified = "true" }
          nameClaim = "email"
          grants    = [{ credentials = ["*"], may = ["operate", "audit"] }, { may = ["metrics", "dashboard"] }]
        }],
        [for index, email in var.apps : {
          name      = "app-${index}"
          issuer    = "https://accounts.google.com"
          audience  = "keyturn"
          claims    = { email = email, email_verified = "true" }
          nameClaim = "email"
          grants    = [{ credentials = ["openai"], may = ["read"] }]
        }],
      )
    }
  }

  notification_channels = var.notification_channels
  hook                  = var.hook

  depends_on = [google_project_service.this]
}

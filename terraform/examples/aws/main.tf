# Keyturn on AWS, from nothing: a network, and in it two replicas with their database. docs/terraform.md goes through it.

terraform {
  required_version = ">= 1.11, < 2.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.25"
    }
  }
}

provider "aws" {
  region = var.region
}

module "network" {
  source = "../../modules/aws/network"

  availability_zones = var.availability_zones == null ? ["${var.region}a", "${var.region}b"] : var.availability_zones
}

module "keyturn" {
  source = "../../modules/aws"

  image                = var.image
  image_repository_arn = var.image_repository_arn

  vpc_id                = module.network.vpc_id
  service_subnet_ids    = module.network.service_subnet_ids
  database_subnet_ids   = module.network.database_subnet_ids
  load_balancer_subnets = module.network.load_balancer_subnets
  client_cidr_blocks    = [module.network.cidr_block]

  host_name       = var.host_name
  certificate_arn = var.certificate_arn
  zone            = var.zone_id == null ? null : { id = var.zone_id }
  ledger_ca_pem   = file(var.ledger_ca_file)

  issuers     = { main = { project = var.openai_project, service_account = var.openai_service_account } }
  credentials = { openai = { issuer = "main" } }

  # People and apps show web tokens of their own; a token made at a replica would need a way into it.
  settings = {
    access = {
      jwt = [
        {
          name     = "operators"
          issuer   = var.operator_issuer
          audience = "keyturn"
          claims   = { groups = "keyturn-operators" }
          grants   = [{ credentials = ["*"], may = ["operate", "audit"] }, { may = ["metrics", "dashboard"] }]
        },
        {
          name     = "apps"
          issuer   = var.app_issuer
          audience = "keyturn"
          claims   = { sub = var.app_subject }
          grants   = [{ credentials = ["openai"], may = ["read"] }]
        },
      ]
    }
  }

  alarm_topic_arns = var.alarm_topic_arns
  hook             = var.hook
}

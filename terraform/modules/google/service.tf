# Two replicas or more on Cloud Run, which only networks of the project can reach.

module "configuration" {
  source = "../configuration"

  store         = { kind = "google-secret-manager", project = var.project }
  issuers       = var.issuers
  credentials   = var.credentials
  secrets       = local.credential_secrets
  admin_secrets = local.admin_secrets
  hosts         = concat([local.run_host], var.host_names)
  # Where requests come from inside of an instance: Cloud Run's own front end, and nothing else.
  trusted_proxies = ["169.254.0.0/16"]
  # Files are in the memory of an instance.
  audit_megabytes = 128
  native_schedule = var.hook != null
  hooks           = var.hook == null ? {} : { googlePubSub = true }
  rules = var.hook == null ? [] : [{
    name     = "rotation-schedule"
    issuer   = "https://accounts.google.com"
    audience = local.url
    claims   = { email = local.hook_email, email_verified = "true" }
    grants   = [{ credentials = keys(local.rotated), may = ["hook"] }]
  }]
  settings = var.settings

  ledger = {
    host          = google_sql_database_instance.ledger.private_ip_address
    server_name   = trimsuffix(try(local.ledger_names[0], google_sql_database_instance.ledger.dns_name), ".")
    database      = google_sql_database.ledger.name
    user          = google_sql_user.ledger.name
    password_file = "/etc/keyturn/ledger-password/value"
    ca_file       = "/etc/keyturn/ledger-ca/value"
  }
}

locals {
  # An instance has a name for each way to it; older ones tell one alone.
  ledger_names = [for one in google_sql_database_instance.ledger.dns_names : one.name if one.connection_type == "PRIVATE_SERVICES_ACCESS"]

  # The address that Cloud Run gives a service, known before there is one.
  run_host = "${var.name}-${data.google_project.this.number}.${var.region}.run.app"
  url      = "https://${local.run_host}"
  ingress  = { internal = "INGRESS_TRAFFIC_INTERNAL_ONLY", internal-and-load-balancer = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER" }

  # The configuration and the certificate by the version that was just written, so that a change replaces the replicas. The
  # password by the newest: Cloud Run reads it anew whenever Keyturn does, which is at each new connection.
  mounts = {
    configuration   = google_secret_manager_secret_version.file["configuration"].version
    ledger-ca       = google_secret_manager_secret_version.file["ledger-ca"].version
    ledger-password = "latest"
  }
}

resource "google_cloud_run_v2_service" "this" {
  project             = var.project
  name                = var.name
  location            = var.region
  labels              = var.labels
  deletion_protection = var.deletion_protection
  ingress             = local.ingress[var.ingress]
  # Keyturn asks for a token itself, in the same header as Cloud Run would; nobody outside of the network gets as far.
  invoker_iam_disabled = true

  template {
    service_account       = google_service_account.rotator.email
    execution_environment = "EXECUTION_ENVIRONMENT_GEN2"
    encryption_key        = var.kms_key_name
    timeout               = "3600s"
    # Streams of events count, which apps hold open: as many as Cloud Run takes.
    max_instance_request_concurrency = 1000
    labels                           = var.labels

    scaling {
      min_instance_count = var.replicas
      max_instance_count = var.replicas_max
    }

    vpc_access {
      egress = "PRIVATE_RANGES_ONLY"

      network_interfaces {
        network    = var.network_id
        subnetwork = var.subnetwork_id
      }
    }

    containers {
      name  = "keyturn"
      image = var.image

      ports {
        container_port = 7420
      }

      env {
        name  = "KEYTURN_CONFIG"
        value = "/etc/keyturn/configuration/value"
      }

      dynamic "env" {
        for_each = var.environment_secrets

        content {
          name = env.key

          value_source {
            secret_key_ref {
              secret  = env.value
              version = "latest"
            }
          }
        }
      }

      resources {
        # It works between requests too: checks keys, turns them, retires them.
        cpu_idle = false
        limits   = { cpu = var.cpu, memory = var.memory }
      }

      dynamic "volume_mounts" {
        for_each = local.mounts

        content {
          name       = volume_mounts.key
          mount_path = "/etc/keyturn/${volume_mounts.key}"
        }
      }

      startup_probe {
        initial_delay_seconds = 1
        period_seconds        = 5
        timeout_seconds       = 3
        failure_threshold     = 24

        tcp_socket {
          port = 7420
        }
      }

      # Whether the process turns, not whether a key can be handed out: a replica without one must be looked at, not replaced.
      liveness_probe {
        period_seconds    = 10
        timeout_seconds   = 5
        failure_threshold = 3

        http_get {
          path = "/healthz"
          port = 7420

          http_headers {
            name  = "Host"
            value = "localhost"
          }
        }
      }
    }

    dynamic "volumes" {
      for_each = local.mounts

      content {
        name = volumes.key

        secret {
          secret = google_secret_manager_secret.mounted[volumes.key].secret_id

          items {
            version = volumes.value
            path    = "value"
            # Files belong to root there, and Keyturn is not root; nothing else runs in the instance.
            mode = 292
          }
        }
      }
    }
  }

  depends_on = [
    google_secret_manager_secret_iam_member.environment,
    google_secret_manager_secret_iam_member.mounted,
    google_secret_manager_secret_iam_member.rotator,
    google_secret_manager_secret_version.ledger,
  ]
}

# PostgreSQL for the replicas: encrypted at rest and on the way, in two zones, without a public address.

resource "google_sql_database_instance" "ledger" {
  project             = var.project
  name                = var.name
  region              = var.region
  database_version    = "POSTGRES_${var.ledger_version}"
  encryption_key_name = var.kms_key_name
  deletion_protection = var.deletion_protection

  settings {
    tier                        = var.ledger_tier
    edition                     = "ENTERPRISE"
    availability_type           = "REGIONAL"
    disk_type                   = "PD_SSD"
    disk_size                   = 10
    disk_autoresize             = true
    disk_autoresize_limit       = 100
    deletion_protection_enabled = var.deletion_protection
    user_labels                 = var.labels

    ip_configuration {
      ipv4_enabled    = false
      private_network = var.network_id
      ssl_mode        = "ENCRYPTED_ONLY"
      # Its certificates have the name of the instance, which the replicas check.
      server_ca_mode = "GOOGLE_MANAGED_CAS_CA"
    }

    backup_configuration {
      enabled                        = true
      point_in_time_recovery_enabled = true
      location                       = var.region
      transaction_log_retention_days = 7

      backup_retention_settings {
        retained_backups = 14
      }
    }

    maintenance_window {
      day          = 7
      hour         = 3
      update_track = "stable"
    }

    insights_config {
      query_insights_enabled = true
    }
  }
}

resource "google_sql_database" "ledger" {
  project  = var.project
  name     = "keyturn"
  instance = google_sql_database_instance.ledger.name
}

resource "google_sql_user" "ledger" {
  project  = var.project
  name     = "keyturn"
  instance = google_sql_database_instance.ledger.name
  # Keyturn makes its two schemas as a role that the database belongs to; nothing else is in this instance.
  password_wo         = ephemeral.random_password.ledger.result
  password_wo_version = var.ledger_password_version
  # Its schemas belong to it, so PostgreSQL would not let it go; it goes with the instance.
  deletion_policy = "ABANDON"
}

# Secrets without a value: Keyturn, or an operator, puts the keys there, and no state ever holds one. Beside each lies a
# second one, `-keyturn`, in which keys that are not proven yet are kept away from readers.

data "google_project" "this" {
  project_id = var.project
}

locals {
  credential_secrets = { for name in keys(var.credentials) : name => "${var.name}-${name}" }
  admin_secrets      = { for name in keys(var.issuers) : name => "${var.name}-${name}-admin" }
  kept_secrets       = { for name in concat(values(local.credential_secrets), values(local.admin_secrets)) : name => "${name}-keyturn" }
  rotated            = { for name, one in var.credentials : name => one if one.issuer != null && var.hook != null }
}

resource "google_secret_manager_secret" "credential" {
  for_each = local.credential_secrets

  project             = var.project
  secret_id           = each.value
  labels              = var.labels
  deletion_protection = var.deletion_protection

  replication {
    user_managed {
      replicas {
        location = var.region

        dynamic "customer_managed_encryption" {
          for_each = var.kms_key_name == null ? [] : [var.kms_key_name]

          content {
            kms_key_name = customer_managed_encryption.value
          }
        }
      }
    }
  }

  dynamic "topics" {
    for_each = contains(keys(local.rotated), each.key) ? google_pubsub_topic.hook[*].id : []

    content {
      name = topics.value
    }
  }

  dynamic "rotation" {
    for_each = contains(keys(local.rotated), each.key) ? [var.hook] : []

    content {
      rotation_period = "${rotation.value.every_days * 86400}s"
      # Where a credential comes later than that, Google would refuse an instant that is over.
      next_rotation_time = timecmp(rotation.value.first_at, plantimestamp()) > 0 ? rotation.value.first_at : timeadd(plantimestamp(), "${rotation.value.every_days * 24}h")
    }
  }

  lifecycle {
    # Keyturn keeps what it knows of each version in annotations, and Google moves the time of the next rotation.
    ignore_changes = [annotations, version_aliases, rotation[0].next_rotation_time]
  }

  depends_on = [google_pubsub_topic_iam_member.hook]
}

resource "google_secret_manager_secret" "admin" {
  for_each = local.admin_secrets

  project             = var.project
  secret_id           = each.value
  labels              = var.labels
  deletion_protection = var.deletion_protection

  replication {
    user_managed {
      replicas {
        location = var.region

        dynamic "customer_managed_encryption" {
          for_each = var.kms_key_name == null ? [] : [var.kms_key_name]

          content {
            kms_key_name = customer_managed_encryption.value
          }
        }
      }
    }
  }

  lifecycle {
    ignore_changes = [annotations, version_aliases]
  }
}

resource "google_secret_manager_secret" "kept" {
  for_each = local.kept_secrets

  project             = var.project
  secret_id           = each.value
  labels              = var.labels
  deletion_protection = var.deletion_protection

  replication {
    user_managed {
      replicas {
        location = var.region

        dynamic "customer_managed_encryption" {
          for_each = var.kms_key_name == null ? [] : [var.kms_key_name]

          content {
            kms_key_name = customer_managed_encryption.value
          }
        }
      }
    }
  }

  lifecycle {
    ignore_changes = [annotations, version_aliases]
  }
}

# ---------------------------------------------------------------- what the service mounts

locals {
  # Cloud Run mounts files out of Secret Manager. The password is one; the configuration and a certificate are none, and go the same way.
  files = {
    "configuration" = module.configuration.yaml
    "ledger-ca"     = google_sql_database_instance.ledger.server_ca_cert[0].cert
  }
}

resource "google_secret_manager_secret" "mounted" {
  for_each = toset(["configuration", "ledger-ca", "ledger-password"])

  project             = var.project
  secret_id           = "${var.name}-mount-${each.value}"
  labels              = var.labels
  deletion_protection = var.deletion_protection

  replication {
    user_managed {
      replicas {
        location = var.region

        dynamic "customer_managed_encryption" {
          for_each = var.kms_key_name == null ? [] : [var.kms_key_name]

          content {
            kms_key_name = customer_managed_encryption.value
          }
        }
      }
    }
  }
}

resource "google_secret_manager_secret_version" "file" {
  for_each = local.files

  secret                 = google_secret_manager_secret.mounted[each.key].id
  secret_data_wo         = each.value
  secret_data_wo_version = parseint(substr(sha256(each.value), 0, 8), 16)

  lifecycle {
    # Replicas of before name the version of before, also while they are replaced.
    create_before_destroy = true
  }
}

# Made anew in every run and used where its version rises: neither a plan nor a state holds it.
ephemeral "random_password" "ledger" {
  length  = 40
  special = false
}

resource "google_secret_manager_secret_version" "ledger" {
  secret                 = google_secret_manager_secret.mounted["ledger-password"].id
  secret_data_wo         = ephemeral.random_password.ledger.result
  secret_data_wo_version = var.ledger_password_version

  lifecycle {
    create_before_destroy = true
  }
}

# The rotation schedule of Secret Manager (docs/native-rotation.md): it tells a topic, and the topic tells the service. Pushes
# from the same project count as internal, so the service stays closed to everybody else.

locals {
  hook_email = "${var.name}-hook@${var.project}.iam.gserviceaccount.com"
}

resource "google_pubsub_topic" "hook" {
  count = var.hook == null ? 0 : 1

  project                    = var.project
  name                       = "${var.name}-rotation"
  kms_key_name               = var.kms_key_name
  message_retention_duration = "604800s"
  labels                     = var.labels

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }
}

# The service agent of Secret Manager has to be there: gcloud beta services identity create --service=secretmanager.googleapis.com
resource "google_pubsub_topic_iam_member" "hook" {
  count = var.hook == null ? 0 : 1

  project = var.project
  topic   = google_pubsub_topic.hook[0].name
  role    = "roles/pubsub.publisher"
  member  = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-secretmanager.iam.gserviceaccount.com"
}

# Who the pushes come from. It has no permission at all: Keyturn knows it by its token.
resource "google_service_account" "hook" {
  count = var.hook == null ? 0 : 1

  project      = var.project
  account_id   = "${var.name}-hook"
  display_name = "Rotation schedule of Keyturn (${var.name})"
  description  = "Tells Keyturn that a secret is to be rotated"
}

resource "google_pubsub_subscription" "hook" {
  count = var.hook == null ? 0 : 1

  project                    = var.project
  name                       = "${var.name}-rotation"
  topic                      = google_pubsub_topic.hook[0].id
  ack_deadline_seconds       = 60
  message_retention_duration = "604800s"
  labels                     = var.labels

  push_config {
    push_endpoint = "${local.url}/v1/hooks/google-pubsub"

    oidc_token {
      service_account_email = google_service_account.hook[0].email
      audience              = local.url
    }
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  # It never expires, however long nothing is rotated.
  expiration_policy {
    ttl = ""
  }

  depends_on = [google_cloud_run_v2_service.this]
}

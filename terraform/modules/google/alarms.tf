# Logs, and alarms of three kinds: what Keyturn tells (each of its alerts is a line), what it cannot tell because it is not
# there, and what its database is short of.

locals {
  log_filter = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${var.name}\" AND resource.labels.location=\"${var.region}\""
}

resource "google_logging_project_bucket_config" "this" {
  project        = var.project
  location       = var.region
  bucket_id      = "${var.name}-service"
  description    = "Logs of Keyturn"
  retention_days = var.log_retention_days
}

resource "google_logging_project_sink" "this" {
  project                = var.project
  name                   = "${var.name}-service"
  description            = "Logs of Keyturn"
  destination            = "logging.googleapis.com/${google_logging_project_bucket_config.this.id}"
  filter                 = local.log_filter
  unique_writer_identity = true
}

# Of the lines themselves: a metric that counts them is not known to the alarms for its first minutes.
resource "google_monitoring_alert_policy" "alerts" {
  for_each = toset(["critical", "warning"])

  project               = var.project
  display_name          = "${var.name}: a ${each.value} alert"
  combiner              = "OR"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  documentation {
    mime_type = "text/markdown"
    content   = "Keyturn told of a ${each.value} alert: it began, was told again or got worse. What it is and what to do stands in the log: search for `jsonPayload.message=\"an alert\"`. The end of the alert is a line there too."
  }

  conditions {
    display_name = "An alert was told"

    condition_matched_log {
      # Cloud Logging takes the field severity of a line for its own, where it knows the word.
      filter = "${local.log_filter} AND jsonPayload.message=\"an alert\" AND jsonPayload.isOver=false AND (severity=${upper(each.value)} OR jsonPayload.severity=\"${each.value}\")"

      label_extractors = {
        title = "EXTRACT(jsonPayload.title)"
      }
    }
  }

  alert_strategy {
    auto_close = "1800s"

    notification_rate_limit {
      period = "300s"
    }
  }
}

resource "google_monitoring_alert_policy" "replicas" {
  project               = var.project
  display_name          = "${var.name}: fewer than two replicas"
  combiner              = "OR"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  documentation {
    mime_type = "text/markdown"
    content   = "Fewer than two replicas of Keyturn run. Look at the revisions of the Cloud Run service ${var.name} and at their logs."
  }

  conditions {
    display_name = "Too few"

    condition_threshold {
      filter          = "metric.type=\"run.googleapis.com/container/instance_count\" AND resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${var.name}\""
      comparison      = "COMPARISON_LT"
      threshold_value = 2
      duration        = "180s"

      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_MAX"
        cross_series_reducer = "REDUCE_SUM"
      }

      trigger {
        count = 1
      }
    }
  }

  conditions {
    display_name = "None at all"

    condition_absent {
      filter   = "metric.type=\"run.googleapis.com/container/instance_count\" AND resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${var.name}\""
      duration = "300s"

      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_MAX"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }
}

# 503 is the answer where no key can be handed out.
resource "google_monitoring_alert_policy" "refusals" {
  project               = var.project
  display_name          = "${var.name}: apps are refused"
  combiner              = "OR"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  documentation {
    mime_type = "text/markdown"
    content   = "Keyturn answers apps with 5xx: no key can be handed out, or it is not there. See docs/symptoms/no-verified-key.md."
  }

  conditions {
    display_name = "5xx"

    condition_threshold {
      filter          = "metric.type=\"run.googleapis.com/request_count\" AND resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${var.name}\" AND metric.labels.response_code_class=\"5xx\""
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "180s"

      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }

      trigger {
        count = 1
      }
    }
  }
}

resource "google_monitoring_alert_policy" "ledger_storage" {
  project               = var.project
  display_name          = "${var.name}: the database is nearly full"
  combiner              = "OR"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  documentation {
    mime_type = "text/markdown"
    content   = "The disk of Keyturn's database is more than 85% full; it grows by itself up to 100 GB only."
  }

  conditions {
    display_name = "Above 85%"

    condition_threshold {
      filter          = "metric.type=\"cloudsql.googleapis.com/database/disk/utilization\" AND resource.type=\"cloudsql_database\" AND resource.labels.database_id=\"${var.project}:${google_sql_database_instance.ledger.name}\""
      comparison      = "COMPARISON_GT"
      threshold_value = 0.85
      duration        = "900s"

      aggregations {
        alignment_period   = "300s"
        per_series_aligner = "ALIGN_MEAN"
      }

      trigger {
        count = 1
      }
    }
  }
}

# With mocks in place of Google Cloud: what a plan comes to, and what is refused before there is one.

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }

  mock_resource "google_sql_database_instance" {
    defaults = {
      private_ip_address = "10.74.16.3"
      dns_name           = "other.def.europe-west3.sql.goog."
      dns_names          = [{ connection_type = "PUBLIC", dns_scope = "INSTANCE", name = "public.def.europe-west3.sql.goog." }, { connection_type = "PRIVATE_SERVICES_ACCESS", dns_scope = "INSTANCE", name = "abc.def.europe-west3.sql.goog." }]
      server_ca_cert     = [{ cert = "-----BEGIN CERTIFICATE-----", common_name = "", create_time = "", expiration_time = "", sha1_fingerprint = "" }]
    }
  }

  mock_resource "google_service_account" {
    defaults = { member = "serviceAccount:keyturn-rotator@my-project.iam.gserviceaccount.com" }
  }
}

variables {
  project       = "my-project"
  region        = "europe-west3"
  image         = "europe-west3-docker.pkg.dev/my-project/images/keyturn@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  network_id    = "projects/my-project/global/networks/keyturn"
  subnetwork_id = "projects/my-project/regions/europe-west3/subnetworks/keyturn-service"
  issuers       = { main = { project = "proj_abc", service_account = "svc_acct_abc" } }
  credentials   = { openai = { issuer = "main", models = ["gpt-5"] }, brought = { overlap = "72h" } }
}

run "by_default" {
  command = apply

  assert {
    condition     = google_cloud_run_v2_service.this.template[0].scaling[0].min_instance_count == 2
    error_message = "Two replicas."
  }

  assert {
    condition     = google_cloud_run_v2_service.this.ingress == "INGRESS_TRAFFIC_INTERNAL_ONLY"
    error_message = "Nobody outside can reach the service."
  }

  assert {
    condition     = length(google_secret_manager_secret.kept) == 3 && length(google_secret_manager_secret_iam_member.rotator) == 6 && length(google_secret_manager_secret_iam_member.reader) == 0
    error_message = "Each secret has a second one, the rotator both, and nobody else reads them."
  }

  assert {
    condition     = yamldecode(output.configuration).ledger.url == "postgres://keyturn@10.74.16.3:5432/keyturn" && yamldecode(output.configuration).ledger.tls.serverName == "abc.def.europe-west3.sql.goog"
    error_message = "The ledger is the database of the module, and its certificate is checked."
  }

  assert {
    condition     = yamldecode(output.configuration).allowedHosts == ["keyturn-123456789012.europe-west3.run.app"]
    error_message = "The service answers to the name that Cloud Run gives it."
  }

  assert {
    condition     = !strcontains(output.configuration, "made-up")
    error_message = "No password is in the configuration."
  }
}

run "hook" {
  command = apply

  variables {
    hook           = { first_at = "2999-01-05T03:00:00Z" }
    reader_members = { app = "serviceAccount:app@my-project.iam.gserviceaccount.com" }
  }

  assert {
    condition     = length(google_secret_manager_secret.credential["openai"].rotation) == 1 && length(google_secret_manager_secret.credential["brought"].rotation) == 0
    error_message = "What an operator brings is not rotated."
  }

  assert {
    condition     = google_secret_manager_secret.credential["openai"].rotation[0].next_rotation_time == "2999-01-05T03:00:00Z"
    error_message = "The first rotation is when it is said."
  }

  assert {
    condition     = yamldecode(output.configuration).hooks.googlePubSub && yamldecode(output.configuration).access.jwt[0].claims.email == "keyturn-hook@my-project.iam.gserviceaccount.com"
    error_message = "The pushes are let in by who they come from."
  }

  assert {
    condition     = length(google_secret_manager_secret_iam_member.reader) == 2
    error_message = "The reader reads the two keys, and neither admin keys nor what is kept beside them."
  }
}

run "credential_after_the_first_rotation" {
  command = apply

  variables {
    credentials = { openai = { issuer = "main" }, later = { issuer = "main" }, brought = {} }
    hook        = { first_at = "2020-01-05T03:00:00Z", every_days = 30 }
  }

  assert {
    condition     = timecmp(google_secret_manager_secret.credential["later"].rotation[0].next_rotation_time, plantimestamp()) > 0
    error_message = "Google refuses a first rotation that is over."
  }

  assert {
    condition     = google_secret_manager_secret.credential["openai"].rotation[0].next_rotation_time == "2999-01-05T03:00:00Z"
    error_message = "What Google has moved on is left alone."
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

run "open_to_everybody" {
  command = plan

  variables {
    ingress = "all"
  }

  expect_failures = [var.ingress]
}

run "everybody_as_reader" {
  command = plan

  variables {
    reader_members = { all = "allUsers" }
  }

  expect_failures = [var.reader_members]
}

run "name_of_another_secret" {
  command = plan

  variables {
    credentials = { openai-keyturn = {} }
  }

  expect_failures = [var.credentials]
}

run "name_that_a_service_cannot_have" {
  command = plan

  variables {
    name = "keyturn-"
  }

  expect_failures = [var.name]
}

run "part_of_a_processor" {
  command = plan

  variables {
    cpu = "0.5"
  }

  expect_failures = [var.cpu]
}

run "memory_that_the_journal_fills" {
  command = plan

  variables {
    memory = "512Mi"
  }

  expect_failures = [var.memory]
}

run "channels_of_your_own" {
  command = apply

  variables {
    environment_secrets = { SLACK_WEBHOOK_URL = "slack" }
    settings            = { alerts = { channels = { team = { kind = "slack", url = { env = "SLACK_WEBHOOK_URL" } } } } }
  }

  assert {
    condition     = [for one in google_cloud_run_v2_service.this.template[0].containers[0].env : one.name] == ["KEYTURN_CONFIG", "SLACK_WEBHOOK_URL"] && google_secret_manager_secret_iam_member.environment["SLACK_WEBHOOK_URL"].secret_id == "slack"
    error_message = "A replica gets what settings name, and may read it."
  }
}

run "channel_without_its_secret" {
  command = plan

  variables {
    settings = { alerts = { channels = { team = { kind = "slack", url = { env = "SLACK_WEBHOOK_URL" } } } } }
  }

  expect_failures = [var.environment_secrets]
}

# With mocks in place of AWS: what a plan comes to, and what is refused before there is one.

mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { region = "eu-central-1" }
  }

  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }

  mock_resource "aws_db_instance" {
    defaults = { address = "keyturn.abc.eu-central-1.rds.amazonaws.com" }
  }
}

variables {
  image                 = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/keyturn@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  vpc_id                = "vpc-1"
  service_subnet_ids    = ["subnet-1", "subnet-2"]
  database_subnet_ids   = ["subnet-3", "subnet-4"]
  load_balancer_subnets = { ids = ["subnet-5", "subnet-6"], cidr_blocks = ["10.74.4.0/24", "10.74.5.0/24"] }
  host_name             = "keyturn.example.com"
  certificate_arn       = "arn:aws:acm:eu-central-1:123456789012:certificate/1"
  ledger_ca_pem         = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"
  issuers               = { main = { project = "proj_abc", service_account = "svc_acct_abc" } }
  credentials           = { openai = { issuer = "main", models = ["gpt-5"] }, brought = { overlap = "72h" } }
}

run "by_default" {
  assert {
    condition     = aws_ecs_service.this.desired_count == 2
    error_message = "Two replicas."
  }

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.clients_by_network) == 0
    error_message = "Nobody can reach the load balancer until somebody is let in."
  }

  assert {
    condition     = length(aws_iam_role.reader) == 0 && length(aws_lambda_function.hook) == 0
    error_message = "Neither a reader that nobody asked for nor a hook."
  }

  assert {
    condition     = toset(keys(aws_secretsmanager_secret.credential)) == toset(["openai", "brought"]) && toset(keys(aws_secretsmanager_secret.admin)) == toset(["main"])
    error_message = "A secret for each credential and each admin key."
  }
}

run "configuration" {
  command = apply

  assert {
    condition     = yamldecode(output.configuration).ledger.url == "postgres://keyturn@keyturn.abc.eu-central-1.rds.amazonaws.com:5432/keyturn"
    error_message = "The ledger is the database of the module."
  }

  assert {
    condition     = yamldecode(output.configuration).credentials.openai.ref == "keyturn/openai" && yamldecode(output.configuration).issuers.main.adminKey.ref == "keyturn/admin/main"
    error_message = "Keys are in the secrets of the module."
  }

  assert {
    condition     = yamldecode(output.configuration).trustedProxies == ["10.74.4.0/24", "10.74.5.0/24"]
    error_message = "The load balancer is believed, and nobody else."
  }

  assert {
    condition     = !strcontains(output.configuration, "made-up")
    error_message = "No password is in the configuration."
  }
}

run "hook" {
  command = apply

  variables {
    hook = { package = { bucket = "packages", key = "hook.zip", sha256 = "x" }, every_days = 30 }
  }

  assert {
    condition     = keys(aws_secretsmanager_secret_rotation.credential) == ["openai"]
    error_message = "What an operator brings is not rotated."
  }

  assert {
    condition     = toset([for one in aws_cloudwatch_log_metric_filter.alerts : one.log_group_name]) == toset(["/keyturn/service", "/aws/lambda/keyturn-hook"]) && length(aws_cloudwatch_metric_alarm.alerts) == 2
    error_message = "An alert that the function tells is one of the same alarm."
  }

  assert {
    condition     = yamldecode(output.configuration).credentials.openai.schedule == "none"
    error_message = "Secrets Manager says when."
  }

  assert {
    condition     = toset(keys(aws_lambda_function.hook[0].environment[0].variables)) == toset(["KEYTURN_CONFIG", "KEYTURN_HOME", "KEYTURN_SECRETS", "KEYTURN_FILES_GZIP"])
    error_message = "The function is told where the password is, and not the password."
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

run "everybody_as_client" {
  command = plan

  variables {
    client_cidr_blocks = ["0.0.0.0/0"]
  }

  expect_failures = [var.client_cidr_blocks]
}

run "any_role_as_reader" {
  command = plan

  variables {
    reader_principals = ["arn:aws:iam::123456789012:role/*"]
  }

  expect_failures = [var.reader_principals]
}

run "logs_for_a_day" {
  command = plan

  variables {
    log_retention_days = 1
  }

  expect_failures = [var.log_retention_days]
}

run "no_certificate" {
  command = plan

  variables {
    ledger_ca_pem = "rds-ca.pem"
  }

  expect_failures = [var.ledger_ca_pem]
}

run "name_that_a_load_balancer_cannot_have" {
  command = plan

  variables {
    name = "internal-keyturn"
  }

  expect_failures = [var.name]
}

run "name_that_a_database_cannot_have" {
  command = plan

  variables {
    name = "keyturn--one"
  }

  expect_failures = [var.name]
}

run "name_of_another_secret" {
  command = plan

  variables {
    credentials = { ledger-password = {} }
  }

  expect_failures = [var.credentials]
}

run "no_size_of_fargate" {
  command = plan

  variables {
    cpu    = 512
    memory = 512
  }

  expect_failures = [var.memory]
}

run "authorities_too_long_for_a_function" {
  command = plan

  variables {
    hook          = { package = { bucket = "packages", key = "hook.zip", sha256 = "x" } }
    ledger_ca_pem = "-----BEGIN CERTIFICATE-----\n${join("\n", [for index in range(60) : sha512(tostring(index))])}"
  }

  expect_failures = [var.hook]
}

run "channels_of_your_own" {
  command = apply

  variables {
    environment_secrets = { SLACK_WEBHOOK_URL = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:slack-a1b2c3", MAIL_PASSWORD = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mail-a1b2c3" }
    further_ports       = [587]
    settings = {
      alerts = {
        channels = {
          team = { kind = "slack", url = { env = "SLACK_WEBHOOK_URL" } }
          desk = { kind = "email", host = "mail.example.com", tls = "starttls", user = "keyturn", password = { env = "MAIL_PASSWORD" }, from = "keyturn@example.com", to = ["desk@example.com"] }
        }
      }
    }
  }

  assert {
    condition     = toset([for one in jsondecode(aws_ecs_task_definition.service.container_definitions)[1].secrets : one.name]) == toset(["KEYTURN_LEDGER_PASSWORD", "MAIL_PASSWORD", "SLACK_WEBHOOK_URL"])
    error_message = "A replica gets what settings name."
  }

  assert {
    condition     = keys(aws_vpc_security_group_egress_rule.service_further) == ["587"]
    error_message = "The mail server can be reached."
  }
}

run "channel_without_its_secret" {
  command = plan

  variables {
    settings = { alerts = { channels = { team = { kind = "slack", url = { env = "SLACK_WEBHOOK_URL" } } } } }
  }

  expect_failures = [var.environment_secrets]
}

run "mail_server_that_cannot_be_reached" {
  command = plan

  variables {
    settings = { alerts = { channels = { desk = { kind = "email", host = "mail.example.com", from = "keyturn@example.com", to = ["desk@example.com"] } } } }
  }

  expect_failures = [var.further_ports]
}

run "spare_key_beside_the_rotation_of_aws" {
  command = plan

  variables {
    hook     = { package = { bucket = "packages", key = "hook.zip", sha256 = "x" } }
    settings = { credentials = { openai = { policy = { standby = true } } } }
  }

  expect_failures = [var.hook]
}

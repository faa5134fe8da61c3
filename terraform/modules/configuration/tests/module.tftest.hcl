# It needs no provider: `terraform test` runs it anywhere.

variables {
  store         = { kind = "aws-secrets-manager", region = "eu-central-1" }
  issuers       = { main = { project = "proj_abc", service_account = "svc_acct_abc", standby_service_account = "svc_acct_def", scopes = ["model.request"] } }
  credentials   = { openai = { issuer = "main", organization = "org-abc", models = ["gpt-5"], schedule = { cron = "0 3 1 * *" } }, brought = {} }
  secrets       = { openai = "keyturn/openai", brought = "keyturn/brought" }
  admin_secrets = { main = "keyturn/admin/main" }
  ledger        = { host = "db.example.com", database = "keyturn", user = "keyturn", password_variable = "KEYTURN_LEDGER_PASSWORD" }
  hosts         = ["keyturn.example.com"]

  trusted_proxies = ["10.74.4.0/24"]
}

run "everything_said" {
  variables {
    rules = [{ name = "hook", issuer = "https://issuer.example.com", audience = "keyturn", claims = { sub = "hook" }, grants = [{ credentials = ["openai"], may = ["read"] }, { may = ["metrics"] }] }]
    settings = {
      access      = { jwt = [{ name = "apps", issuer = "https://issuer.example.com", audience = "keyturn", claims = { sub = "app" }, grants = [{ credentials = ["openai"], may = ["read"] }] }] }
      alerts      = { resolveAfter = "2m", channels = { team = { kind = "slack", url = { env = "SLACK_WEBHOOK_URL" } } } }
      credentials = { openai = { policy = { overlap = "48h" } } }
    }
  }

  assert {
    condition     = [for rule in yamldecode(output.yaml).access.jwt : rule.name] == ["hook", "apps"]
    error_message = "Rules of the platform come first."
  }

  assert {
    condition     = toset(keys(yamldecode(output.yaml).alerts.channels)) == toset(["platform", "team"])
    error_message = "The platform is told beside the channels of settings."
  }

  assert {
    condition     = yamldecode(output.yaml).credentials.openai.policy.overlap == "48h"
    error_message = "What settings say of a credential goes over what is made here."
  }
}

run "ledger_on_this_machine" {
  command = plan

  variables {
    ledger = { host = "127.0.0.1", database = "keyturn", user = "keyturn", password_variable = "PASSWORD" }
  }

  expect_failures = [var.ledger]
}

run "everybody_as_proxy" {
  command = plan

  variables {
    trusted_proxies = ["0.0.0.0/0"]
  }

  expect_failures = [var.trusted_proxies]
}

run "unknown_issuer" {
  command = plan

  variables {
    credentials = { openai = { issuer = "other" } }
    secrets     = { openai = "x" }
  }

  expect_failures = [var.credentials]
}

run "settings_for_the_ledger" {
  command = plan

  variables {
    settings = { ledger = { kind = "sqlite" } }
  }

  expect_failures = [var.settings]
}

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

run "settings_beside_what_is_made_here" {
  variables {
    credentials = { openai = { issuer = "main", overlap = "72h", models = ["gpt-5"] }, brought = {} }
    settings = {
      audit       = { sinks = [{ webhook = "https://audit.example.com", hmac = { env = "AUDIT_HMAC" } }] }
      log         = { level = "warn" }
      credentials = { openai = { policy = { keyExpiry = "120d" }, expected = { scopes = ["model.request"] } } }
    }
  }

  assert {
    condition     = yamldecode(output.yaml).log == { format = "json", level = "warn" }
    error_message = "Lines stay JSON: the alarms of the platform are made of them."
  }

  assert {
    condition     = yamldecode(output.yaml).audit.keepMegabytes == 512 && length(yamldecode(output.yaml).audit.sinks) == 1
    error_message = "A sink does not lift the limit of the journal on the disk of a replica."
  }

  assert {
    condition     = yamldecode(output.yaml).credentials.openai.policy == { keyExpiry = "120d", overlap = "72h" }
    error_message = "A further policy takes nothing away from the credential."
  }

  assert {
    condition     = yamldecode(output.yaml).credentials.openai.expected == { models = ["gpt-5"], scopes = ["model.request"] }
    error_message = "A further expectation takes nothing away from the credential."
  }
}

run "a_schedule_beside_the_stores_own" {
  command = plan

  variables {
    native_schedule = true
  }

  expect_failures = [var.credentials]
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

run "settings_for_who_is_let_in" {
  command = plan

  variables {
    settings = { trustedProxies = ["10.0.0.0/8"] }
  }

  expect_failures = [var.settings]
}

run "a_schedule_in_settings_beside_the_stores_own" {
  command = plan

  variables {
    native_schedule = true
    credentials     = { openai = {}, brought = {} }
    settings        = { credentials = { openai = { schedule = { cron = "0 3 1 * *" } } } }
  }

  expect_failures = [var.settings]
}

run "settings_for_the_place_of_a_key" {
  command = plan

  variables {
    settings = { credentials = { openai = { ref = "elsewhere" } } }
  }

  expect_failures = [var.settings]
}

run "lines_that_no_alarm_can_read" {
  command = plan

  variables {
    settings = { log = { format = "text" } }
  }

  expect_failures = [var.settings]
}

run "no_line_for_an_alarm" {
  command = plan

  variables {
    settings = { log = { level = "error" } }
  }

  expect_failures = [var.settings]
}

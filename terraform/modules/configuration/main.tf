# keyturn.yaml for a service of several replicas behind a load balancer of the platform. It holds no secret, and no provider
# is needed: what comes of it can be looked at with `terraform console`.

locals {
  issuers = {
    for name, issuer in var.issuers : name => merge(
      {
        kind           = "openai"
        project        = issuer.project
        serviceAccount = issuer.service_account
        adminKey       = { store = "platform", ref = var.admin_secrets[name] }
      },
      issuer.standby_service_account == null ? {} : { standbyServiceAccount = issuer.standby_service_account },
      length(issuer.scopes) == 0 ? {} : { scopes = issuer.scopes },
    )
  }

  # What settings say of a credential, and what of it goes into an object that is made here as well.
  further = { for name in keys(var.credentials) : name => try(var.settings.credentials[name], {}) }

  expected = {
    for name, one in var.credentials : name => merge(
      one.organization == null ? {} : { organization = one.organization },
      length(one.scopes) == 0 ? {} : { scopes = one.scopes },
      length(one.models) == 0 ? {} : { models = one.models },
      try(local.further[name].expected, {}),
    )
  }

  policy = {
    for name, one in var.credentials : name => merge(
      one.overlap == null ? {} : { overlap = one.overlap },
      try(local.further[name].policy, {}),
    )
  }

  credentials = {
    for name, one in var.credentials : name => merge(
      { store = "platform", ref = var.secrets[name] },
      one.issuer == null ? {} : { issuer = one.issuer },
      one.schedule == null ? {} : {
        schedule = { cron = one.schedule.cron, timeZone = one.schedule.time_zone, jitter = one.schedule.jitter }
      },
      var.native_schedule ? { schedule = "none" } : {},
      local.further[name],
      length(local.expected[name]) == 0 ? {} : { expected = local.expected[name] },
      length(local.policy[name]) == 0 ? {} : { policy = local.policy[name] },
    )
  }

  tls = merge(
    var.ledger.ca_file == null ? {} : { ca = var.ledger.ca_file },
    var.ledger.server_name == null ? {} : { serverName = var.ledger.server_name },
  )

  # `kind: log`: each alert is a line, which the platform makes alarms of.
  alerts = merge(try(var.settings.alerts, {}), {
    channels = merge(try(var.settings.alerts.channels, {}), { platform = { kind = "log" } })
  })

  access = merge(try(var.settings.access, {}), length(var.rules) == 0 ? {} : {
    jwt = concat([for rule in var.rules : {
      name     = rule.name
      issuer   = rule.issuer
      audience = rule.audience
      claims   = rule.claims
      grants   = [for grant in rule.grants : { for key, value in grant : key => value if value != null }]
    }], try(var.settings.access.jwt, []))
  })

  document = merge(
    { for key, value in var.settings : key => value if !contains(["access", "alerts", "audit", "credentials", "log"], key) },
    length(local.access) == 0 ? {} : { access = local.access },
    length(var.hooks) == 0 ? {} : { hooks = var.hooks },
    {
      # Encrypted up to the platform's load balancer, and from there inside the network of the service.
      allowPlaintext = true
      listen         = "0.0.0.0:7420"
      audit          = merge({ keepMegabytes = var.audit_megabytes }, try(var.settings.audit, {}))
      log            = merge({ format = "json" }, try(var.settings.log, {}))
      allowedHosts   = var.hosts
      trustedProxies = var.trusted_proxies
      alerts         = local.alerts
      stores         = { platform = var.store }
      issuers        = local.issuers
      credentials    = local.credentials
      ledger = merge(
        {
          kind = "postgres"
          url  = "postgres://${urlencode(var.ledger.user)}@${var.ledger.host}:5432/${var.ledger.database}"
          # An empty object still says that the connection is encrypted and its certificate checked.
          tls = local.tls
        },
        { password = var.ledger.password_file != null ? { file = var.ledger.password_file } : { env = var.ledger.password_variable } },
      )
    },
  )
}

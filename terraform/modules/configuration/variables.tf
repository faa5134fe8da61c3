variable "store" {
  description = "The store that all keys are kept in, as under `stores` of keyturn.yaml: `{ kind = \"aws-secrets-manager\", region = \"eu-central-1\" }`."
  type        = map(string)

  validation {
    condition     = contains(["aws-secrets-manager", "google-secret-manager", "azure-key-vault"], lookup(var.store, "kind", ""))
    error_message = "store.kind must be aws-secrets-manager, google-secret-manager or azure-key-vault: the stores that these modules set up."
  }
}

variable "issuers" {
  description = "OpenAI projects in which keys are minted, by names of your own. Each has an admin key of its own, which Keyturn keeps in the store."
  type = map(object({
    project                 = string
    service_account         = string
    standby_service_account = optional(string)
    scopes                  = optional(list(string), [])
  }))
  default = {}

  validation {
    condition     = alltrue([for name in keys(var.issuers) : can(regex("^[a-z0-9-]{1,50}$", name))])
    error_message = "Names of issuers have 1 to 50 of a-z, 0-9 and -."
  }

  validation {
    condition     = alltrue([for issuer in values(var.issuers) : can(regex("^proj_[A-Za-z0-9_-]+$", issuer.project))])
    error_message = "issuers.*.project is the id of an OpenAI project, such as proj_abc: Settings, Project, General."
  }
}

variable "credentials" {
  description = "The names that apps ask for. Without an issuer an operator brings each key."
  type = map(object({
    issuer       = optional(string)
    organization = optional(string)
    scopes       = optional(list(string), [])
    models       = optional(list(string), [])
    overlap      = optional(string)
    schedule     = optional(object({ cron = string, time_zone = optional(string, "UTC"), jitter = optional(string, "1h") }))
  }))

  validation {
    condition     = length(var.credentials) > 0
    error_message = "Name at least one credential, such as credentials = { openai = { issuer = \"main\" } }."
  }

  validation {
    condition     = alltrue([for name in keys(var.credentials) : can(regex("^[a-z0-9-]{1,63}$", name))])
    error_message = "Names of credentials have 1 to 63 of a-z, 0-9 and -."
  }

  validation {
    condition     = alltrue([for one in values(var.credentials) : one.issuer == null ? true : contains(keys(var.issuers), one.issuer)])
    error_message = "credentials.*.issuer must be a name under issuers; leave it out where an operator brings the keys."
  }

  validation {
    condition     = length(setintersection(keys(var.credentials), [for name in keys(var.issuers) : "${name}-admin"])) == 0
    error_message = "A credential has the name of an admin key (the issuer's name and -admin): call one of them otherwise."
  }

  validation {
    condition     = !var.native_schedule || alltrue([for one in values(var.credentials) : one.schedule == null])
    error_message = "A credential has a schedule, and with hook the store's own says when: leave one of them out."
  }
}

variable "secrets" {
  description = "What the secret of each credential is called in the store."
  type        = map(string)

  validation {
    condition     = length(setsubtract(keys(var.credentials), keys(var.secrets))) == 0
    error_message = "secrets must name a secret for every credential."
  }
}

variable "admin_secrets" {
  description = "What the secret with the admin key of each issuer is called in the store."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.issuers), keys(var.admin_secrets))) == 0
    error_message = "admin_secrets must name a secret for every issuer."
  }
}

variable "ledger" {
  description = "Where PostgreSQL is. The password comes from a variable of the environment or a file, never from here. `ca_file`: PEM of an authority that Node does not trust by itself; `server_name`: the name in the certificate, where the host is an address."
  type = object({
    host              = string
    database          = string
    user              = string
    password_variable = optional(string)
    password_file     = optional(string)
    ca_file           = optional(string)
    server_name       = optional(string)
  })

  validation {
    condition     = (var.ledger.password_variable == null) != (var.ledger.password_file == null)
    error_message = "Give the ledger either password_variable or password_file."
  }

  validation {
    condition     = !can(regex("^(localhost|127\\.|::1$|/)", var.ledger.host))
    error_message = "ledger.host is this machine: the connection would not be encrypted, and the replicas would not share it."
  }
}

variable "hosts" {
  description = "Host headers that are answered: the names under which apps reach the service."
  type        = list(string)

  validation {
    condition     = length(var.hosts) > 0 && alltrue([for host in var.hosts : can(regex("^[A-Za-z0-9.-]+$", host))])
    error_message = "hosts are names without a scheme or a port, at least one."
  }
}

variable "trusted_proxies" {
  description = "Networks from which the platform's load balancer passes requests on."
  type        = list(string)

  validation {
    condition     = alltrue([for network in var.trusted_proxies : can(cidrhost(network, 0)) && !endswith(network, "/0")])
    error_message = "trusted_proxies are networks such as 10.0.0.0/24, and not everybody (/0)."
  }
}

variable "hooks" {
  description = "Which of the service's routes for schedules of the store are open: `{ googlePubSub = true }`."
  type        = map(bool)
  default     = {}
}

variable "rules" {
  description = "Rules for web tokens that the platform needs, put before those under `access.jwt` of settings."
  type = list(object({
    name     = string
    issuer   = string
    audience = string
    claims   = map(string)
    grants   = list(object({ credentials = optional(list(string)), may = list(string) }))
  }))
  default = []
}

variable "native_schedule" {
  description = "Whether the store's own schedule says when credentials are turned, so that Keyturn has none for them. Admin keys keep theirs."
  type        = bool
  default     = false
}

variable "audit_megabytes" {
  description = "How much of the audit journal the disk of a replica holds."
  type        = number
  default     = 512

  validation {
    condition     = var.audit_megabytes >= 128
    error_message = "audit_megabytes is at least 128."
  }
}

variable "settings" {
  description = "Further keys of keyturn.yaml, as a value: `{ access = { … }, alerts = { … }, credentials = { openai = { policy = { … } } } }`. Those of a credential go over what is made here."
  type        = any
  default     = {}

  validation {
    condition     = length(setintersection(try(keys(var.settings), []), ["home", "listen", "allowPlaintext", "allowedHosts", "trustedProxies", "ledger", "stores", "issuers", "hooks"])) == 0
    error_message = "settings cannot have home, listen, allowPlaintext, allowedHosts, trustedProxies, ledger, stores, issuers or hooks: the module makes them."
  }

  validation {
    condition     = length(setsubtract(try(keys(var.settings.credentials), []), keys(var.credentials))) == 0
    error_message = "settings.credentials names a credential that is not under credentials."
  }

  validation {
    condition     = alltrue([for one in try(values(var.settings.credentials), []) : length(setintersection(try(keys(one), []), ["store", "ref"])) == 0])
    error_message = "settings.credentials.* cannot have store or ref: the module makes the secret of each credential, and lets the service at no other."
  }

  validation {
    condition     = !var.native_schedule || alltrue([for one in try(values(var.settings.credentials), []) : !can(one.schedule)])
    error_message = "settings.credentials.* has a schedule, and with hook the store's own says when: leave one of them out."
  }

  validation {
    condition     = try(var.settings.log.format, "json") == "json" && try(var.settings.log.level, "info") != "error"
    error_message = "settings.log has to leave format at json and level at warn or below: the alarms of the platform are made of these lines."
  }
}

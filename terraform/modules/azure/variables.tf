variable "name" {
  description = "What everything is called after; also part of names that are unique in all of Azure, and for 90 days after they are gone."
  type        = string
  default     = "keyturn"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 3 && length(var.name) <= 20
    error_message = "name has 3 to 20 of a-z, 0-9 and single -, begins with a letter and does not end in -: the key vault is called so."
  }
}

variable "resource_group_name" {
  description = "The resource group, which is there already."
  type        = string
}

variable "location" {
  description = "The region, such as germanywestcentral: one with availability zones."
  type        = string
}

variable "image" {
  description = "The image of Keyturn, by digest: `REGISTRY.azurecr.io/keyturn@sha256:…`."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.:/_-]*@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image ends in a digest (@sha256: and 64 hex digits): a tag can be moved to another image."
  }
}

variable "image_registry" {
  description = "The registry of Azure that the image is in, as { server, id }: the service may pull from it. Not needed where anybody may pull the image."
  type        = object({ server = string, id = string })
  default     = null
}

variable "issuers" {
  description = "OpenAI projects in which keys are minted, by names of your own. Each has an admin key of its own, in the secret `ISSUER-admin`."
  type = map(object({
    project                 = string
    service_account         = string
    standby_service_account = optional(string)
    scopes                  = optional(list(string), [])
  }))
  default = {}
}

variable "credentials" {
  description = "The names that apps ask for. Without an issuer an operator brings each key. `overlap` is a duration of keyturn.yaml, such as 24h."
  type = map(object({
    issuer       = optional(string)
    organization = optional(string)
    scopes       = optional(list(string), [])
    models       = optional(list(string), [])
    overlap      = optional(string)
    schedule     = optional(object({ cron = string, time_zone = optional(string, "UTC"), jitter = optional(string, "1h") }))
  }))

  validation {
    condition     = alltrue([for name in keys(var.credentials) : !endswith(name, "-keyturn") && !endswith(name, "-admin") && name != "ledger-password"])
    error_message = "Names of credentials cannot end in -keyturn or -admin, or be ledger-password, here: other secrets of the module are called so."
  }
}

variable "settings" {
  description = "Further keys of keyturn.yaml, as a value: `{ access = { … }, alerts = { … }, credentials = { openai = { policy = { … } } } }`."
  type        = any
  default     = {}
}

variable "environment_secrets" {
  description = "What settings name as `{ env = NAME }`, such as the address of a channel of Slack: secrets of yours in a key vault of this resource group, as resources (`azurerm_key_vault_secret.slack`) by NAME. A replica gets them when it starts."
  type        = map(object({ versionless_id = string, resource_versionless_id = string }))
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.environment_secrets) : can(regex("^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$", name)) && !startswith(name, "KEYTURN_")])
    error_message = "Names of environment_secrets are variables such as SLACK_WEBHOOK_URL, and do not begin with KEYTURN_."
  }

  validation {
    condition     = length(setsubtract(flatten(regexall("\"env\":\"([^\"]*)\"", jsonencode(var.settings))), keys(var.environment_secrets))) == 0
    error_message = "settings has { env = NAME } with a name that is not under environment_secrets: no replica would have it."
  }
}

variable "virtual_network_id" {
  description = "The network whose machines find the service by its name."
  type        = string
}

variable "service_subnet" {
  description = "The subnet of the service, delegated to Microsoft.App/environments, with a way to api.openai.com: { id, address_prefix }."
  type        = object({ id = string, address_prefix = string })

  validation {
    condition     = can(cidrhost(var.service_subnet.address_prefix, 0)) && !endswith(var.service_subnet.address_prefix, "/0")
    error_message = "service_subnet.address_prefix is a network such as 10.74.0.0/23."
  }
}

variable "database_subnet_id" {
  description = "The subnet of the database, delegated to Microsoft.DBforPostgreSQL/flexibleServers."
  type        = string
}

variable "database_dns_zone_id" {
  description = "The private DNS zone of the database, linked to the network; its name ends in .postgres.database.azure.com."
  type        = string
}

variable "endpoints_subnet_id" {
  description = "The subnet in which the key vault gets its private address."
  type        = string
}

variable "vault_dns_zone_id" {
  description = "The private DNS zone privatelink.vaultcore.azure.net, linked to the network."
  type        = string
}

variable "vault_allowed_addresses" {
  description = "Public addresses from which the key vault can be reached besides, for whoever runs Terraform outside of the network. Default: none, and the vault has no public address."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for network in var.vault_allowed_addresses : can(cidrhost(strcontains(network, "/") ? network : "${network}/32", 0)) && try(tonumber(split("/", network)[1]) >= 24, true)])
    error_message = "vault_allowed_addresses are addresses, or networks of a /24 or smaller."
  }
}

variable "terraform_principal_ids" {
  description = "Object ids of all that run Terraform (a pipeline, a group of people), by names of your own: a plan reads the vault. Default: whoever runs it now, so that nobody else can plan."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for id in values(var.terraform_principal_ids) : can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", lower(id)))])
    error_message = "terraform_principal_ids are object ids (UUIDs) of people, groups or identities, not client ids or names."
  }
}

variable "host_names" {
  description = "Names of your own under which apps reach the service, besides the one that Azure gives it."
  type        = list(string)
  default     = []
}

variable "replicas" {
  description = "How many replicas run at least."
  type        = number
  default     = 2

  validation {
    condition     = var.replicas >= 2 && var.replicas <= 20 && floor(var.replicas) == var.replicas
    error_message = "replicas is a whole number from 2 to 20: one replica is none while it is replaced."
  }
}

variable "replicas_max" {
  description = "How many replicas run at most; each opens up to 13 connections to the database."
  type        = number
  default     = 3

  validation {
    condition     = var.replicas_max >= var.replicas && var.replicas_max <= 40
    error_message = "replicas_max is at least replicas and at most 40."
  }
}

variable "cpu" {
  description = "Processors of one replica."
  type        = number
  default     = 0.5
}

variable "memory" {
  description = "Memory of one replica: 2 GiB per processor."
  type        = string
  default     = "1Gi"

  validation {
    condition     = var.cpu * 4 == floor(var.cpu * 4) && var.cpu >= 0.25 && var.cpu <= 4 && try(tonumber(trimsuffix(var.memory, "Gi")) == var.cpu * 2, false)
    error_message = "cpu is 0.25 to 4 in steps of 0.25, and memory twice as many GiB, such as 0.5 and 1Gi."
  }
}

variable "ledger_sku" {
  description = "The size of the database: General Purpose or Memory Optimized, since burstable ones have no standby in another zone."
  type        = string
  default     = "GP_Standard_D2ds_v5"

  validation {
    condition     = can(regex("^(GP|MO)_", var.ledger_sku))
    error_message = "ledger_sku begins with GP_ or MO_: a burstable server (B_) has no standby in another zone."
  }
}

variable "ledger_version" {
  description = "The version of PostgreSQL: a major one, 13 or newer."
  type        = string
  default     = "16"

  validation {
    condition     = try(tonumber(var.ledger_version) >= 13, false)
    error_message = "ledger_version is a major version of PostgreSQL, 13 or newer."
  }
}

variable "ledger_password_version" {
  description = "Raise it by one to have a new password made; Azure replaces the replicas within half an hour."
  type        = number
  default     = 1

  validation {
    condition     = var.ledger_password_version >= 1 && floor(var.ledger_password_version) == var.ledger_password_version
    error_message = "ledger_password_version is a whole number from 1 up."
  }
}

variable "deletion_protection" {
  description = "Whether the database is locked against deletion by anybody but Terraform, which takes its own lock off when it destroys; the vault can be brought back anyway."
  type        = bool
  default     = true
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
  default     = 90

  validation {
    condition     = var.log_retention_days >= 30 && var.log_retention_days <= 730
    error_message = "log_retention_days is 30 to 730."
  }
}

variable "action_group_ids" {
  description = "Action groups that are told of alarms. Default: they are only shown."
  type        = list(string)
  default     = []
}

variable "reader_principal_ids" {
  description = "Object ids of identities of apps that read the vault themselves, by names of your own. Default: nobody."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for id in values(var.reader_principal_ids) : can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", lower(id)))])
    error_message = "reader_principal_ids are object ids (UUIDs) of identities, not client ids or names."
  }
}

variable "hook" {
  description = "Lets Key Vault say when keys are turned, over Event Grid. `endpoint`: the public address of the service, through a gateway of yours, since Event Grid reaches no private one; `tenant_id` and `application_id`: the Entra application whose tokens Event Grid shows."
  type = object({
    endpoint       = string
    tenant_id      = string
    application_id = string
  })
  default = null

  validation {
    condition     = var.hook == null ? true : can(regex("^https://[a-z0-9.-]+$", var.hook.endpoint))
    error_message = "hook.endpoint is an address such as https://keyturn.example.com, without a path."
  }
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}

variable "name" {
  description = "What everything is called after; secrets are `name-CREDENTIAL`. Two installations of one project have two names, in two regions as well."
  type        = string
  default     = "keyturn"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 2 && length(var.name) <= 18
    error_message = "name has 2 to 18 of a-z, 0-9 and single -, begins with a letter and does not end in -: service accounts are called after it."
  }
}

variable "project" {
  description = "The Google Cloud project, by its id."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9:.-]{4,61}[a-z0-9]$", var.project))
    error_message = "project is the id of a project, such as my-project-1234, not its number or name."
  }
}

variable "region" {
  description = "The region, such as europe-west3; values of secrets stay in it."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region is one such as europe-west3, not a zone."
  }
}

variable "image" {
  description = "The image of Keyturn, by digest: `REGION-docker.pkg.dev/PROJECT/REPOSITORY/keyturn@sha256:…`."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.:/_-]*@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image ends in a digest (@sha256: and 64 hex digits): a tag can be moved to another image."
  }
}

variable "issuers" {
  description = "OpenAI projects in which keys are minted, by names of your own. Each has an admin key of its own, in the secret `name-ISSUER-admin`."
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
    condition     = alltrue([for name in keys(var.credentials) : !endswith(name, "-keyturn") && !endswith(name, "-admin") && !startswith(name, "mount-")])
    error_message = "Names of credentials cannot end in -keyturn or -admin or begin with mount- here: other secrets of the module are called so."
  }
}

variable "settings" {
  description = "Further keys of keyturn.yaml, as a value: `{ access = { … }, alerts = { … }, credentials = { openai = { policy = { … } } } }`."
  type        = any
  default     = {}
}

variable "environment_secrets" {
  description = "What settings name as `{ env = NAME }`, such as the address of a channel of Slack: ids of secrets of yours in the Secret Manager of the project, by NAME. A replica gets the newest version when it starts."
  type        = map(string)
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

variable "network_id" {
  description = "The network, joined with Google's by private services access."
  type        = string
}

variable "subnetwork_id" {
  description = "The subnet of the service, in the region."
  type        = string
}

variable "kms_key_name" {
  description = "A key of Cloud KMS in the region for secrets, database and service, in place of Google's own; of the topic of the hook too. The service agents of Secret Manager, Cloud SQL, Cloud Run and Pub/Sub must be allowed to use it."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_name == null ? true : can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.kms_key_name))
    error_message = "kms_key_name is a whole name: projects/P/locations/REGION/keyRings/R/cryptoKeys/K."
  }
}

variable "ingress" {
  description = "From where the service can be reached: `internal` (networks of the project and what is joined with them) or `internal-and-load-balancer` (also through a load balancer of yours)."
  type        = string
  default     = "internal"

  validation {
    condition     = contains(["internal", "internal-and-load-balancer"], var.ingress)
    error_message = "ingress is internal or internal-and-load-balancer; the service is never open to everybody."
  }
}

variable "host_names" {
  description = "Names of your own under which apps reach the service, besides the address that Cloud Run gives it."
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
  description = "How many replicas run at most; each opens up to 13 connections to the database, and serves up to 1000 apps that wait for a change."
  type        = number
  default     = 4

  validation {
    condition     = var.replicas_max >= var.replicas && var.replicas_max <= 40
    error_message = "replicas_max is at least replicas and at most 40."
  }
}

variable "cpu" {
  description = "Processors of one replica."
  type        = string
  default     = "1"

  validation {
    condition     = contains(["1", "2", "4", "8"], var.cpu)
    error_message = "cpu is 1, 2, 4 or 8: Cloud Run gives less than one to replicas that take one request at a time."
  }
}

variable "memory" {
  description = "Memory of one replica; files are in it too, the audit journal among them."
  type        = string
  default     = "1Gi"

  validation {
    condition     = can(regex("^([1-9][0-9]*Gi|[1-9][0-9]{3,}Mi)$", var.memory))
    error_message = "memory is 1000Mi or more, such as 1Gi: the journal takes 128 MB of it."
  }
}

variable "ledger_tier" {
  description = "The size of the database."
  type        = string
  default     = "db-custom-1-3840"
}

variable "ledger_version" {
  description = "The version of PostgreSQL: a major one, 13 or newer."
  type        = string
  default     = "17"

  validation {
    condition     = try(tonumber(var.ledger_version) >= 13, false)
    error_message = "ledger_version is a major version of PostgreSQL, 13 or newer."
  }
}

variable "ledger_password_version" {
  description = "Raise it by one to have a new password made. Replicas read it at each new connection; none has to be replaced."
  type        = number
  default     = 1

  validation {
    condition     = var.ledger_password_version >= 1 && floor(var.ledger_password_version) == var.ledger_password_version
    error_message = "ledger_password_version is a whole number from 1 up."
  }
}

variable "deletion_protection" {
  description = "Whether the database, the service and secrets refuse to be deleted: Google keeps nothing of a secret. Switch it off, and apply, before you destroy them, or take a credential away."
  type        = bool
  default     = true
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
  default     = 90

  validation {
    condition     = var.log_retention_days >= 30 && var.log_retention_days <= 3650
    error_message = "log_retention_days is 30 to 3650."
  }
}

variable "notification_channels" {
  description = "Channels of Cloud Monitoring that are told of alarms. Default: they are only shown."
  type        = list(string)
  default     = []
}

variable "reader_members" {
  description = "Who reads the store itself, by names of your own: `{ app = \"serviceAccount:app@PROJECT.iam.gserviceaccount.com\" }`. Default: nobody."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for member in values(var.reader_members) : can(regex("^(serviceAccount|principal|principalSet|group):[^*]+$", member))])
    error_message = "reader_members are service accounts, groups or principals of workload identity, and never allUsers or allAuthenticatedUsers."
  }
}

variable "hook" {
  description = "Lets the rotation schedule of Secret Manager say when keys are turned. `first_at`: when the first rotation is due (RFC 3339); `every_days`: how long after it the next one, and for a credential that comes after `first_at` its first one."
  type = object({
    first_at   = string
    every_days = optional(number, 90)
  })
  default = null

  validation {
    condition     = var.hook == null ? true : can(formatdate("YYYY", var.hook.first_at))
    error_message = "hook.first_at is an instant such as 2027-01-05T03:00:00Z."
  }

  validation {
    condition     = var.hook == null ? true : var.hook.every_days >= 1 && var.hook.every_days <= 365
    error_message = "hook.every_days is 1 to 365: OpenAI's keys live for a year at most."
  }
}

variable "labels" {
  description = "Labels of everything that takes them."
  type        = map(string)
  default     = {}
}

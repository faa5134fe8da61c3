variable "name" {
  description = "What everything is called after; secrets are `name/CREDENTIAL`. Two installations of one account have two names, in two regions as well."
  type        = string
  default     = "keyturn"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 2 && length(var.name) <= 24 && !startswith(var.name, "internal-")
    error_message = "name has 2 to 24 of a-z, 0-9 and single -, begins with a letter and does not end in -: load balancers and databases are called after it, which cannot begin with internal- either."
  }
}

variable "image" {
  description = "The image of Keyturn, by digest: `REGISTRY/NAME@sha256:…`."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.:/_-]*@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image ends in a digest (@sha256: and 64 hex digits): a tag can be moved to another image."
  }
}

variable "image_repository_arn" {
  description = "The repository in ECR that the image is in. Not needed where anybody may pull it."
  type        = string
  default     = null
}

variable "issuers" {
  description = "OpenAI projects in which keys are minted, by names of your own. Each has an admin key of its own, in the secret `name/admin/ISSUER`."
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
    condition     = !contains(keys(var.credentials), "ledger-password")
    error_message = "A credential cannot be called ledger-password here: the secret with the password of the database is."
  }
}

variable "settings" {
  description = "Further keys of keyturn.yaml, as a value: `{ access = { … }, alerts = { … }, credentials = { openai = { policy = { … } } } }`."
  type        = any
  default     = {}
}

variable "environment_secrets" {
  description = "What settings name as `{ env = NAME }`, such as the address of a channel of Slack: ARNs of secrets of yours in Secrets Manager, by NAME. Encrypted with AWS's own key, or with the one of this module."
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

  validation {
    condition     = alltrue([for arn in values(var.environment_secrets) : can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[^:*]+$", arn))])
    error_message = "environment_secrets are whole ARNs of secrets: arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-a1b2c3."
  }
}

variable "further_ports" {
  description = "Ports beside 443 on which the service reaches others, such as 465 of a mail server."
  type        = list(number)
  default     = []

  validation {
    condition     = alltrue([for port in var.further_ports : port >= 1 && port <= 65535 && floor(port) == port])
    error_message = "further_ports are ports such as 465."
  }

  validation {
    condition     = length(setsubtract([for one in try(values(var.settings.alerts.channels), []) : try(one.port, try(one.tls, "implicit") == "implicit" ? 465 : 587) if try(one.kind, "") == "email"], var.further_ports)) == 0
    error_message = "A channel of kind email is under settings.alerts, and its port (465, or 587 with starttls, where it has none) not in further_ports: the service could not reach the mail server."
  }
}

variable "vpc_id" {
  description = "The network."
  type        = string
}

variable "service_subnet_ids" {
  description = "Private subnets with a way to api.openai.com, in two zones at least: for the service."
  type        = list(string)

  validation {
    condition     = length(distinct(var.service_subnet_ids)) >= 2
    error_message = "service_subnet_ids are two subnets at least, in different zones."
  }
}

variable "database_subnet_ids" {
  description = "Private subnets in two zones at least: for the database."
  type        = list(string)

  validation {
    condition     = length(distinct(var.database_subnet_ids)) >= 2
    error_message = "database_subnet_ids are two subnets at least, in different zones."
  }
}

variable "load_balancer_subnets" {
  description = "Private subnets of the load balancer, and of nothing else: whoever is in them is believed who a request comes from."
  type        = object({ ids = list(string), cidr_blocks = list(string) })

  validation {
    condition     = length(distinct(var.load_balancer_subnets.ids)) >= 2 && length(var.load_balancer_subnets.cidr_blocks) == length(var.load_balancer_subnets.ids)
    error_message = "load_balancer_subnets are two subnets at least, in different zones, each with its cidr_block."
  }
}

variable "client_cidr_blocks" {
  description = "Networks of the apps: who can reach the load balancer. Default: nobody."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for network in var.client_cidr_blocks : can(cidrhost(network, 0)) && !endswith(network, "/0")])
    error_message = "client_cidr_blocks are networks such as 10.0.0.0/16, and not everybody (/0)."
  }
}

variable "client_security_group_ids" {
  description = "Security groups of the apps, by names of your own: who can reach the load balancer besides."
  type        = map(string)
  default     = {}
}

variable "host_name" {
  description = "The name under which apps reach the service, such as keyturn.example.com."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", var.host_name))
    error_message = "host_name is a name such as keyturn.example.com, without a scheme or a port."
  }
}

variable "certificate_arn" {
  description = "The certificate of ACM for host_name, already issued: where it is made with the module, the output of its `aws_acm_certificate_validation`."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:acm:", var.certificate_arn))
    error_message = "certificate_arn is the ARN of a certificate of ACM: arn:aws:acm:REGION:ACCOUNT:certificate/ID."
  }
}

variable "zone" {
  description = "The zone of Route 53 in which host_name becomes an alias of the load balancer, as { id }. Default: you make the name yourself."
  type        = object({ id = string })
  default     = null
}

variable "replicas" {
  description = "How many replicas run; each opens up to 13 connections to the database, and while they are replaced there are twice as many. A db.t4g.micro takes about 80."
  type        = number
  default     = 2

  validation {
    condition     = var.replicas >= 2 && var.replicas <= 20 && floor(var.replicas) == var.replicas
    error_message = "replicas is a whole number from 2 to 20: one replica is none while it is replaced."
  }
}

variable "cpu" {
  description = "Of one replica, in units of 1/1024 of a processor."
  type        = number
  default     = 256
}

variable "memory" {
  description = "Of one replica, in MiB; a size that Fargate has for `cpu`."
  type        = number
  default     = 512

  validation {
    condition = contains(lookup({
      "256"  = [512, 1024, 2048]
      "512"  = range(1024, 4097, 1024)
      "1024" = range(2048, 8193, 1024)
      "2048" = range(4096, 16385, 1024)
      "4096" = range(8192, 30721, 1024)
    }, tostring(var.cpu), []), var.memory)
    error_message = "cpu and memory are no size of Fargate: 256 with 512, 1024 or 2048; 512 with 1024 to 4096; 1024 with 2048 to 8192; 2048 with 4096 to 16384; 4096 with 8192 to 30720, in steps of 1024."
  }
}

variable "cpu_architecture" {
  description = "What the image is built for."
  type        = string
  default     = "X86_64"

  validation {
    condition     = contains(["X86_64", "ARM64"], var.cpu_architecture)
    error_message = "cpu_architecture is X86_64 or ARM64."
  }
}

variable "ledger_instance_class" {
  description = "The size of the database."
  type        = string
  default     = "db.t4g.micro"
}

variable "ledger_engine_version" {
  description = "The version of PostgreSQL: a major one, 13 or newer."
  type        = string
  default     = "17"

  validation {
    condition     = try(tonumber(var.ledger_engine_version) >= 13, false)
    error_message = "ledger_engine_version is a major version of PostgreSQL, 13 or newer."
  }
}

variable "ledger_ca_pem" {
  description = "Certificates of the authority `rds-ca-rsa2048-g1` of the region, PEM: Node does not know them. `https://truststore.pki.rds.amazonaws.com/REGION/REGION-bundle.pem`."
  type        = string

  validation {
    condition     = strcontains(var.ledger_ca_pem, "-----BEGIN CERTIFICATE-----") && !strcontains(var.ledger_ca_pem, "PRIVATE KEY")
    error_message = "ledger_ca_pem is the text of a PEM file of certificates: file(\"rds-ca.pem\")."
  }

  validation {
    condition     = length(var.ledger_ca_pem) <= 16000
    error_message = "ledger_ca_pem is longer than 16,000 characters: take the bundle of the region, not the one of all regions."
  }
}

variable "ledger_password_version" {
  description = "Raise it by one to have a new password made; the replicas are replaced with it."
  type        = number
  default     = 1

  validation {
    condition     = var.ledger_password_version >= 1 && floor(var.ledger_password_version) == var.ledger_password_version
    error_message = "ledger_password_version is a whole number from 1 up."
  }
}

variable "deletion_protection" {
  description = "Whether the database and the load balancer refuse to be deleted. Switch it off, and apply, before you destroy them."
  type        = bool
  default     = true
}

variable "secret_recovery_days" {
  description = "For how long a deleted secret can be brought back."
  type        = number
  default     = 30

  validation {
    condition     = var.secret_recovery_days >= 7 && var.secret_recovery_days <= 30
    error_message = "secret_recovery_days is 7 to 30."
  }
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
  default     = 90

  validation {
    condition     = contains([30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days is one of the periods of CloudWatch from 30 days up, such as 90 or 365."
  }
}

variable "alarm_topic_arns" {
  description = "Topics of SNS that alarms are sent to. Default: alarms are only shown."
  type        = list(string)
  default     = []
}

variable "reader_principals" {
  description = "ARNs of roles that may become the reader: apps that read the store themselves. Default: no such role; the policy is there to attach."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.reader_principals : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[^*]+$", arn))])
    error_message = "reader_principals are ARNs of single roles: arn:aws:iam::ACCOUNT:role/NAME."
  }
}

variable "hook" {
  description = "Lets the rotation schedule of Secrets Manager say when keys are turned. `package`: where in S3 the function's package lies (see the README); `every_days`: how often each secret is rotated."
  type = object({
    package    = object({ bucket = string, key = string, version = optional(string), sha256 = string })
    every_days = optional(number, 90)
    runtime    = optional(string, "nodejs24.x")
  })
  default = null

  validation {
    condition     = var.hook == null ? true : var.hook.every_days >= 1 && var.hook.every_days <= 365
    error_message = "hook.every_days is 1 to 365: OpenAI's keys live for a year at most."
  }

  validation {
    condition     = var.hook == null ? true : alltrue([for one in try(values(var.settings.credentials), []) : !try(one.policy.standby, false)])
    error_message = "hook and a credential of settings with policy.standby: a spare is a key that Secrets Manager knows nothing of. Leave one of them out."
  }

  validation {
    condition     = var.hook == null ? true : length(base64gzip(var.ledger_ca_pem)) <= 2400
    error_message = "ledger_ca_pem is too long for the variables of a function: with hook, leave only the certificate of rds-ca-rsa2048-g1 in it (modules/aws/README.md says how)."
  }

  validation {
    condition     = var.hook == null ? true : contains(["nodejs22.x", "nodejs24.x"], var.hook.runtime)
    error_message = "hook.runtime is nodejs24.x or nodejs22.x."
  }
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}

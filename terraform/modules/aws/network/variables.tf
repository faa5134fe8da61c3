variable "name" {
  description = "What everything is called after."
  type        = string
  default     = "keyturn"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 2 && length(var.name) <= 24 && !startswith(var.name, "internal-")
    error_message = "name has 2 to 24 of a-z, 0-9 and single -, begins with a letter and does not end in -: load balancers and databases are called after it, which cannot begin with internal- either."
  }
}

variable "cidr_block" {
  description = "Addresses of the network: a /16 to /20, private, and not those of networks that it is to be joined with."
  type        = string
  default     = "10.74.0.0/20"

  validation {
    condition     = can(cidrhost(var.cidr_block, 0)) && try(tonumber(split("/", var.cidr_block)[1]) >= 16 && tonumber(split("/", var.cidr_block)[1]) <= 20, false)
    error_message = "cidr_block is a network of a /16 to /20, such as 10.74.0.0/20."
  }
}

variable "availability_zones" {
  description = "Zones of the region, by name: two or three."
  type        = list(string)

  validation {
    condition     = length(distinct(var.availability_zones)) >= 2 && length(var.availability_zones) <= 3
    error_message = "availability_zones are two or three different zones, such as [\"eu-central-1a\", \"eu-central-1b\"]."
  }
}

variable "interface_endpoints" {
  description = "Services of AWS that are reached without leaving the network. Each costs per zone and hour; what is not here goes out through the NAT gateways, encrypted."
  type        = set(string)
  default     = ["secretsmanager"]
}

variable "log_retention_days" {
  description = "How long the flow logs are kept."
  type        = number
  default     = 90

  validation {
    condition     = contains([30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days is one of the periods of CloudWatch from 30 days up, such as 90 or 365."
  }
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}

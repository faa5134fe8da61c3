variable "name" {
  description = "What everything is called after."
  type        = string
  default     = "keyturn"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 2 && length(var.name) <= 24
    error_message = "name has 2 to 24 of a-z, 0-9 and single -, begins with a letter and does not end in -."
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
  description = "The region, such as europe-west3."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region is one such as europe-west3, not a zone."
  }
}

variable "service_cidr_block" {
  description = "Addresses of the subnet that the service's instances are in: a /26 or larger."
  type        = string
  default     = "10.74.0.0/24"

  validation {
    condition     = can(cidrhost(var.service_cidr_block, 0)) && try(tonumber(split("/", var.service_cidr_block)[1]) <= 26, false)
    error_message = "service_cidr_block is a network of a /26 or larger, such as 10.74.0.0/24: Cloud Run takes several addresses for each instance."
  }
}

variable "database_address" {
  description = "Where the addresses begin that Google takes for the database: a /20 from here."
  type        = string
  default     = "10.74.16.0"

  validation {
    condition     = can(cidrhost("${var.database_address}/20", 0)) && try(cidrhost("${var.database_address}/20", 0) == var.database_address, false)
    error_message = "database_address is the first address of a /20, such as 10.74.16.0."
  }
}

variable "name" {
  description = "What everything is called after."
  type        = string
  default     = "keyturn"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 3 && length(var.name) <= 20
    error_message = "name has 3 to 20 of a-z, 0-9 and single -, begins with a letter and does not end in -."
  }
}

variable "resource_group_name" {
  description = "The resource group, which is there already."
  type        = string
}

variable "location" {
  description = "The region, such as germanywestcentral."
  type        = string
}

variable "address_space" {
  description = "Addresses of the network: a /16 to /20, private, and not those of networks that it is to be joined with."
  type        = string
  default     = "10.74.0.0/20"

  validation {
    condition     = can(cidrhost(var.address_space, 0)) && try(tonumber(split("/", var.address_space)[1]) >= 16 && tonumber(split("/", var.address_space)[1]) <= 20, false)
    error_message = "address_space is a network of a /16 to /20, such as 10.74.0.0/20."
  }
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}

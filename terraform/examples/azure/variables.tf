variable "subscription_id" {
  description = "The subscription."
  type        = string
}

variable "tenant_id" {
  description = "The tenant of Entra that people and apps are in."
  type        = string
}

variable "application_id" {
  description = "The Entra application that stands for Keyturn, with the roles operator and app: the audience of tokens."
  type        = string
}

variable "name" {
  description = "What everything is called after; unique in all of Azure."
  type        = string
}

variable "location" {
  description = "The region."
  type        = string
  default     = "germanywestcentral"
}

variable "image" {
  description = "The image of Keyturn, by digest."
  type        = string
}

variable "image_registry" {
  description = "The registry of Azure that it is in."
  type        = object({ server = string, id = string })
  default     = null
}

variable "terraform_addresses" {
  description = "The public addresses that Terraform runs behind, where it is outside of the network."
  type        = set(string)
  default     = []
}

variable "openai_project" {
  description = "The OpenAI project in which keys are minted."
  type        = string
}

variable "openai_service_account" {
  description = "The service account there that they are of."
  type        = string
}

variable "action_group_ids" {
  description = "Action groups that are told of alarms."
  type        = list(string)
  default     = []
}

variable "hook" {
  description = "Key Vault's word that a key is about to expire, through a gateway of yours."
  type        = object({ endpoint = string, tenant_id = string, application_id = string })
  default     = null
}

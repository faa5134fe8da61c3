variable "project" {
  description = "The Google Cloud project, by its id."
  type        = string
}

variable "region" {
  description = "The region."
  type        = string
  default     = "europe-west3"
}

variable "image" {
  description = "The image of Keyturn, by digest."
  type        = string
}

variable "openai_project" {
  description = "The OpenAI project in which keys are minted."
  type        = string
}

variable "openai_service_account" {
  description = "The service account there that they are of."
  type        = string
}

variable "operators" {
  description = "Service accounts that operators act as, by their mail addresses."
  type        = list(string)
}

variable "apps" {
  description = "Service accounts of apps, by their mail addresses."
  type        = list(string)
}

variable "notification_channels" {
  description = "Channels of Cloud Monitoring that are told of alarms."
  type        = list(string)
  default     = []
}

variable "hook" {
  description = "The rotation schedule of Secret Manager."
  type        = object({ first_at = string, every_days = optional(number, 90) })
  default     = null
}

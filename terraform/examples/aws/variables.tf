variable "region" {
  description = "The region."
  type        = string
  default     = "eu-central-1"
}

variable "availability_zones" {
  description = "Zones of the region, by name. Default: a and b, which some regions do not have."
  type        = list(string)
  default     = null
}

variable "image" {
  description = "The image of Keyturn, by digest."
  type        = string
}

variable "image_repository_arn" {
  description = "The repository in ECR that it is in."
  type        = string
  default     = null
}

variable "host_name" {
  description = "The name under which apps reach the service."
  type        = string
}

variable "certificate_arn" {
  description = "The certificate of ACM for it, already issued."
  type        = string
}

variable "zone_id" {
  description = "The zone of Route 53 that it is in."
  type        = string
  default     = null
}

variable "ledger_ca_file" {
  description = "Certificates of the databases of the region: https://truststore.pki.rds.amazonaws.com/REGION/REGION-bundle.pem."
  type        = string
  default     = "rds-ca.pem"
}

variable "openai_project" {
  description = "The OpenAI project in which keys are minted."
  type        = string
}

variable "openai_service_account" {
  description = "The service account there that they are of."
  type        = string
}

variable "operator_issuer" {
  description = "Who signs the web tokens of operators: your single sign-on."
  type        = string
}

variable "app_issuer" {
  description = "Who signs those of apps, such as the issuer of an EKS cluster."
  type        = string
}

variable "app_subject" {
  description = "The subject of the app, such as system:serviceaccount:NAMESPACE:NAME."
  type        = string
}

variable "alarm_topic_arns" {
  description = "Topics of SNS that alarms are sent to."
  type        = list(string)
  default     = []
}

variable "hook" {
  description = "The rotation schedule of Secrets Manager, once the function's package is there."
  type = object({
    package    = object({ bucket = string, key = string, version = optional(string), sha256 = string })
    every_days = optional(number, 90)
  })
  default = null
}

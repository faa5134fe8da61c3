output "url" {
  description = "Where apps reach the service."
  value       = module.keyturn.url
}

output "admin_secret_names" {
  description = "Where the first admin key goes."
  value       = module.keyturn.admin_secret_names
}

output "reader_policy_arn" {
  description = "The policy for apps that read the store themselves."
  value       = module.keyturn.reader_policy_arn
}

output "nat_addresses" {
  description = "Under which OpenAI sees the service."
  value       = module.network.nat_addresses
}

output "configuration" {
  description = "keyturn.yaml as the replicas have it, without a secret."
  value       = module.keyturn.configuration
}

output "url" {
  description = "Where apps of the network reach the service."
  value       = module.keyturn.url
}

output "vault_url" {
  description = "The key vault."
  value       = module.keyturn.vault_url
}

output "admin_secret_names" {
  description = "Where the first admin key goes."
  value       = module.keyturn.admin_secret_names
}

output "nat_address" {
  description = "Under which OpenAI sees the service."
  value       = module.network.nat_address
}

output "configuration" {
  description = "keyturn.yaml as the replicas have it, without a secret."
  value       = module.keyturn.configuration
}

output "url" {
  description = "Where apps reach the service."
  value       = module.keyturn.url
}

output "admin_secret_ids" {
  description = "Where the first admin key goes."
  value       = module.keyturn.admin_secret_ids
}

output "reader_role_id" {
  description = "The role for apps that read the store themselves."
  value       = module.keyturn.reader_role_id
}

output "configuration" {
  description = "keyturn.yaml as the replicas have it, without a secret."
  value       = module.keyturn.configuration
}

output "url" {
  description = "Where apps reach the service: KEYTURN_URL."
  value       = local.url
}

output "credential_secret_ids" {
  description = "The secret of each credential, by its name: where to bring a key by hand."
  value       = { for name, secret in google_secret_manager_secret.credential : name => secret.secret_id }
}

output "admin_secret_ids" {
  description = "The secret with the admin key of each issuer: put the first one there."
  value       = { for name, secret in google_secret_manager_secret.admin : name => secret.secret_id }
}

output "reader_role_id" {
  description = "The role for readers, for bindings of your own on the secrets of credentials."
  value       = google_project_iam_custom_role.reader.id
}

output "rotator_service_account_email" {
  description = "What the service is, for policies of other resources."
  value       = google_service_account.rotator.email
}

output "hook_topic_id" {
  description = "The topic that the rotation schedule tells; null without a hook."
  value       = one(google_pubsub_topic.hook[*].id)
}

output "log_bucket_id" {
  description = "Where the log of the service is."
  value       = google_logging_project_bucket_config.this.id
}

output "configuration" {
  description = "keyturn.yaml as the replicas have it, without a secret."
  value       = module.configuration.yaml
}

output "url" {
  description = "Where apps of the network reach the service: KEYTURN_URL."
  value       = "https://${local.app_host}"
}

output "vault_url" {
  description = "The key vault; secrets in it are called as the credentials."
  value       = local.vault_url
}

output "admin_secret_names" {
  description = "The secret with the admin key of each issuer: put the first one there."
  value       = local.admin_secrets
}

output "reader_role_definition_id" {
  description = "The role for readers, for assignments of your own on the secrets of credentials."
  value       = azurerm_role_definition.reader.role_definition_resource_id
}

output "rotator_principal_id" {
  description = "What the service is, by its object id, for roles on other resources."
  value       = azurerm_user_assigned_identity.rotator.principal_id
}

output "static_address" {
  description = "The private address of the service, for a gateway in front of it."
  value       = azurerm_container_app_environment.this.static_ip_address
}

output "log_analytics_workspace_id" {
  description = "Where the logs are."
  value       = azurerm_log_analytics_workspace.this.id
}

output "configuration" {
  description = "keyturn.yaml as the replicas have it, without a secret."
  value       = module.configuration.yaml
}

output "url" {
  description = "Where apps reach the service: KEYTURN_URL."
  value       = "https://${var.host_name}"
}

output "load_balancer" {
  description = "The load balancer, as { dns_name, zone_id }: what host_name has to lead to where zone is not given."
  value       = { dns_name = aws_lb.this.dns_name, zone_id = aws_lb.this.zone_id }
}

output "credential_secret_names" {
  description = "The secret of each credential, by its name: where to bring a key by hand."
  value       = { for name, secret in aws_secretsmanager_secret.credential : name => secret.name }
}

output "admin_secret_names" {
  description = "The secret with the admin key of each issuer: put the first one there."
  value       = { for name, secret in aws_secretsmanager_secret.admin : name => secret.name }
}

output "reader_policy_arn" {
  description = "The policy for roles of apps that read the store themselves."
  value       = aws_iam_policy.reader.arn
}

output "reader_role_arn" {
  description = "The role that reader_principals may become; null without any."
  value       = one(aws_iam_role.reader[*].arn)
}

output "rotator_role_arn" {
  description = "The role of the service, for policies of other resources."
  value       = aws_iam_role.rotator.arn
}

output "kms_key_arn" {
  description = "The key that secrets, database and logs are encrypted with."
  value       = aws_kms_key.this.arn
}

output "security_group_ids" {
  description = "Groups of the load balancer, the service and the database."
  value = {
    load_balancer = aws_security_group.load_balancer.id
    service       = aws_security_group.service.id
    ledger        = aws_security_group.ledger.id
  }
}

output "log_group_name" {
  description = "Where the log of the service is."
  value       = aws_cloudwatch_log_group.service.name
}

output "configuration" {
  description = "keyturn.yaml as the replicas have it, without a secret."
  value       = module.configuration.yaml
}

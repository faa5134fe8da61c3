output "yaml" {
  description = "keyturn.yaml, without a secret."
  value       = yamlencode(local.document)
}

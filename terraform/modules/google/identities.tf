# Who may do what, and nothing wider: what docs/stores.md says that the driver calls, on single secrets.

locals {
  role_name     = replace(var.name, "-", "_")
  turned        = merge({ for secret in google_secret_manager_secret.credential : secret.secret_id => secret.id }, { for secret in google_secret_manager_secret.admin : secret.secret_id => secret.id }, { for secret in google_secret_manager_secret.kept : secret.secret_id => secret.id })
  read_by       = { for pair in setproduct(keys(local.credential_secrets), keys(var.reader_members)) : "${pair[0]} ${pair[1]}" => { credential = pair[0], member = var.reader_members[pair[1]] } }
  mounted_files = toset(["configuration", "ledger-ca", "ledger-password"])
}

# ---------------------------------------------------------------- the reader: apps that read the store themselves

resource "google_project_iam_custom_role" "reader" {
  project     = var.project
  role_id     = "${local.role_name}_reader"
  title       = "Keyturn reader (${var.name})"
  description = "Reads keys that Keyturn looks after"
  permissions = ["secretmanager.versions.access", "secretmanager.secrets.get"]
}

resource "google_secret_manager_secret_iam_member" "reader" {
  for_each = local.read_by

  project   = var.project
  secret_id = google_secret_manager_secret.credential[each.value.credential].secret_id
  role      = google_project_iam_custom_role.reader.id
  member    = each.value.member
}

# ---------------------------------------------------------------- the rotator: the service itself

resource "google_project_iam_custom_role" "rotator" {
  project     = var.project
  role_id     = "${local.role_name}_rotator"
  title       = "Keyturn rotator (${var.name})"
  description = "Reads and turns the keys that Keyturn looks after; cannot make or delete secrets"
  permissions = [
    "secretmanager.versions.access",
    "secretmanager.versions.add",
    "secretmanager.versions.list",
    "secretmanager.versions.destroy",
    "secretmanager.secrets.get",
    "secretmanager.secrets.update",
  ]
}

resource "google_service_account" "rotator" {
  project      = var.project
  account_id   = "${var.name}-rotator"
  display_name = "Keyturn (${var.name})"
  description  = "What the service of Keyturn is"
}

resource "google_secret_manager_secret_iam_member" "rotator" {
  for_each = toset(concat(values(local.credential_secrets), values(local.admin_secrets), values(local.kept_secrets)))

  project   = var.project
  secret_id = local.turned[each.value]
  role      = google_project_iam_custom_role.rotator.id
  member    = google_service_account.rotator.member
}

# Files that are mounted are read as the service.
resource "google_secret_manager_secret_iam_member" "mounted" {
  for_each = local.mounted_files

  project   = var.project
  secret_id = google_secret_manager_secret.mounted[each.value].secret_id
  role      = google_project_iam_custom_role.reader.id
  member    = google_service_account.rotator.member
}

resource "google_secret_manager_secret_iam_member" "environment" {
  for_each = var.environment_secrets

  project   = var.project
  secret_id = each.value
  role      = google_project_iam_custom_role.reader.id
  member    = google_service_account.rotator.member
}

# Secrets without a value: Keyturn, or an operator, puts the keys there, and no state ever holds one.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region
}

data "aws_iam_policy_document" "key" {
  # Without it nobody could ever change the key again; AWS asks for it as it stands. In the policy of a key, * is that key.
  statement {
    sid       = "Administration"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${local.partition}:iam::${local.account}:root"]
    }
  }

  statement {
    sid = "Logs"
    # All that CloudWatch says it may call, by name.
    actions = [
      "kms:Encrypt",
      "kms:Decrypt",
      "kms:ReEncryptFrom",
      "kms:ReEncryptTo",
      "kms:GenerateDataKey",
      "kms:GenerateDataKeyWithoutPlaintext",
      "kms:DescribeKey",
    ]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["logs.${local.region}.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values = [
        "arn:${local.partition}:logs:${local.region}:${local.account}:log-group:/${var.name}/*",
        "arn:${local.partition}:logs:${local.region}:${local.account}:log-group:/aws/rds/instance/${var.name}/*",
        "arn:${local.partition}:logs:${local.region}:${local.account}:log-group:/aws/lambda/${var.name}-hook",
      ]
    }
  }
}

resource "aws_kms_key" "this" {
  description             = "Keyturn: secrets, database and logs of ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.key.json
  tags                    = var.tags
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.this.key_id
}

resource "aws_secretsmanager_secret" "credential" {
  for_each = var.credentials

  name                    = "${var.name}/${each.key}"
  description             = "OpenAI key ${each.key}, looked after by Keyturn"
  kms_key_id              = aws_kms_key.this.arn
  recovery_window_in_days = var.secret_recovery_days
  tags                    = var.tags

  lifecycle {
    # Keyturn keeps what it knows of each version in tags of the secret.
    ignore_changes = [tags, tags_all]
  }
}

resource "aws_secretsmanager_secret" "admin" {
  for_each = var.issuers

  name                    = "${var.name}/admin/${each.key}"
  description             = "OpenAI admin key of ${each.key}, looked after by Keyturn"
  kms_key_id              = aws_kms_key.this.arn
  recovery_window_in_days = var.secret_recovery_days
  tags                    = var.tags

  lifecycle {
    ignore_changes = [tags, tags_all]
  }
}

resource "aws_secretsmanager_secret" "ledger" {
  name                    = "${var.name}/ledger-password"
  description             = "Password of the database of Keyturn"
  kms_key_id              = aws_kms_key.this.arn
  recovery_window_in_days = var.secret_recovery_days
  tags                    = var.tags
}

# Made anew in every run and used where its version rises: neither a plan nor a state holds it.
ephemeral "random_password" "ledger" {
  length  = 40
  special = false
}

resource "aws_secretsmanager_secret_version" "ledger" {
  secret_id                = aws_secretsmanager_secret.ledger.id
  secret_string_wo         = ephemeral.random_password.ledger.result
  secret_string_wo_version = var.ledger_password_version
}

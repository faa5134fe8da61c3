# Who may do what, and nothing wider: what docs/stores.md says that the driver calls, on the secrets by their ARNs.

locals {
  credential_arns = [for secret in aws_secretsmanager_secret.credential : secret.arn]
  admin_arns      = [for secret in aws_secretsmanager_secret.admin : secret.arn]
  secrets_service = "secretsmanager.${local.region}.amazonaws.com"
}

# ---------------------------------------------------------------- the reader: apps that read the store themselves

data "aws_iam_policy_document" "reader" {
  statement {
    sid       = "ReadKeys"
    actions   = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
    resources = local.credential_arns
  }

  statement {
    sid       = "OpenThem"
    actions   = ["kms:Decrypt"]
    resources = [aws_kms_key.this.arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = [local.secrets_service]
    }

    condition {
      test     = "ForAnyValue:StringEquals"
      variable = "kms:EncryptionContext:SecretARN"
      values   = local.credential_arns
    }
  }
}

resource "aws_iam_policy" "reader" {
  name        = "${var.name}-reader"
  description = "Reads the keys that Keyturn looks after"
  policy      = data.aws_iam_policy_document.reader.json
  tags        = var.tags
}

data "aws_iam_policy_document" "reader_trust" {
  count = length(var.reader_principals) == 0 ? 0 : 1

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = var.reader_principals
    }
  }
}

resource "aws_iam_role" "reader" {
  count = length(var.reader_principals) == 0 ? 0 : 1

  name               = "${var.name}-reader"
  description        = "Reads the keys that Keyturn looks after"
  assume_role_policy = data.aws_iam_policy_document.reader_trust[0].json
  tags               = var.tags
}

resource "aws_iam_role_policy_attachment" "reader" {
  count = length(var.reader_principals) == 0 ? 0 : 1

  role       = aws_iam_role.reader[0].name
  policy_arn = aws_iam_policy.reader.arn
}

# ---------------------------------------------------------------- the rotator: the service itself

data "aws_iam_policy_document" "rotator" {
  statement {
    sid = "TurnKeys"
    actions = [
      "secretsmanager:GetSecretValue",
      "secretsmanager:DescribeSecret",
      "secretsmanager:PutSecretValue",
      "secretsmanager:UpdateSecretVersionStage",
      "secretsmanager:TagResource",
      "secretsmanager:UntagResource",
    ]
    resources = concat(local.credential_arns, local.admin_arns)
  }

  statement {
    sid       = "OpenAndSealThem"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [aws_kms_key.this.arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = [local.secrets_service]
    }

    condition {
      test     = "ForAnyValue:StringEquals"
      variable = "kms:EncryptionContext:SecretARN"
      values   = concat(local.credential_arns, local.admin_arns)
    }
  }
}

data "aws_iam_policy_document" "tasks_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_iam_policy" "rotator" {
  name        = "${var.name}-rotator"
  description = "Reads and turns the keys that Keyturn looks after; cannot make or delete secrets"
  policy      = data.aws_iam_policy_document.rotator.json
  tags        = var.tags
}

resource "aws_iam_role" "rotator" {
  name               = "${var.name}-rotator"
  description        = "What the service of Keyturn may do"
  assume_role_policy = data.aws_iam_policy_document.tasks_trust.json
  tags               = var.tags
}

resource "aws_iam_role_policy_attachment" "rotator" {
  role       = aws_iam_role.rotator.name
  policy_arn = aws_iam_policy.rotator.arn
}

# ---------------------------------------------------------------- what starts the containers: ECS, before Keyturn runs

data "aws_iam_policy_document" "start" {
  statement {
    sid       = "WriteLogs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.service.arn}:log-stream:*"]
  }

  statement {
    sid       = "SecretsOfTheEnvironment"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = values(local.environment_secrets)
  }

  statement {
    sid       = "OpenThem"
    actions   = ["kms:Decrypt"]
    resources = [aws_kms_key.this.arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = [local.secrets_service]
    }

    condition {
      test     = "ForAnyValue:StringEquals"
      variable = "kms:EncryptionContext:SecretARN"
      values   = values(local.environment_secrets)
    }
  }

  dynamic "statement" {
    for_each = var.image_repository_arn == null ? [] : [var.image_repository_arn]

    content {
      sid       = "PullTheImage"
      actions   = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = var.image_repository_arn == null ? [] : [true]

    content {
      sid = "LogInToTheRegistry"
      # AWS knows no resource for it: the login is to the registry of the account.
      actions   = ["ecr:GetAuthorizationToken"]
      resources = ["*"]
    }
  }
}

resource "aws_iam_role" "start" {
  name               = "${var.name}-start"
  description        = "What ECS may do to start Keyturn"
  assume_role_policy = data.aws_iam_policy_document.tasks_trust.json
  tags               = var.tags
}

resource "aws_iam_role_policy" "start" {
  name   = "start"
  role   = aws_iam_role.start.id
  policy = data.aws_iam_policy_document.start.json
}

# The rotation schedule of Secrets Manager (docs/native-rotation.md): a function with the four steps of a rotation, on the
# same ledger as the replicas. README.md says how its package is made.

locals {
  hooks          = var.hook == null ? {} : { this = var.hook }
  rotated        = { for name, one in var.credentials : name => one if one.issuer != null && var.hook != null }
  hook_variables = { KEYTURN_CONFIG = "/tmp/keyturn/keyturn.yaml", KEYTURN_HOME = "/tmp/keyturn/home", KEYTURN_SECRETS = jsonencode(local.environment_secrets) }
}

resource "aws_cloudwatch_log_group" "hook" {
  count = length(local.hooks)

  name              = "/aws/lambda/${var.name}-hook"
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.this.arn
  tags              = var.tags
}

data "aws_iam_policy_document" "hook_trust" {
  count = length(local.hooks)

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "hook" {
  count = length(local.hooks)

  statement {
    sid       = "WriteLogs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.hook[0].arn}:log-stream:*"]
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

  statement {
    sid = "BeInTheNetwork"
    # AWS asks for these on every resource of a function in a VPC; the condition keeps the function's own code from them.
    actions = [
      "ec2:CreateNetworkInterface",
      "ec2:DescribeNetworkInterfaces",
      "ec2:DescribeSubnets",
      "ec2:DeleteNetworkInterface",
      "ec2:AssignPrivateIpAddresses",
      "ec2:UnassignPrivateIpAddresses",
    ]
    resources = ["*"]

    condition {
      test     = "Null"
      variable = "lambda:SourceFunctionArn"
      values   = ["true"]
    }
  }
}

resource "aws_iam_role" "hook" {
  count = length(local.hooks)

  name               = "${var.name}-hook"
  description        = "What the function of the rotation schedule may do"
  assume_role_policy = data.aws_iam_policy_document.hook_trust[0].json
  tags               = var.tags
}

resource "aws_iam_role_policy" "hook" {
  count = length(local.hooks)

  name   = "hook"
  role   = aws_iam_role.hook[0].id
  policy = data.aws_iam_policy_document.hook[0].json
}

resource "aws_iam_role_policy_attachment" "hook" {
  count = length(local.hooks)

  role       = aws_iam_role.hook[0].name
  policy_arn = aws_iam_policy.rotator.arn
}

resource "aws_security_group" "hook" {
  count = length(local.hooks)

  name        = "${var.name}-hook"
  description = "The function of the rotation schedule of Keyturn"
  vpc_id      = var.vpc_id
  tags        = var.tags
}

resource "aws_vpc_security_group_egress_rule" "hook_https" {
  count = length(local.hooks)

  security_group_id = aws_security_group.hook[0].id
  description       = "OpenAI and AWS, over TLS"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "hook_further" {
  for_each = toset([for port in var.further_ports : tostring(port) if var.hook != null])

  security_group_id = aws_security_group.hook[0].id
  description       = "What settings name"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = tonumber(each.value)
  to_port           = tonumber(each.value)
}

resource "aws_vpc_security_group_egress_rule" "hook_ledger" {
  count = length(local.hooks)

  security_group_id            = aws_security_group.hook[0].id
  description                  = "The database"
  referenced_security_group_id = aws_security_group.ledger.id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

resource "aws_vpc_security_group_ingress_rule" "ledger_hook" {
  count = length(local.hooks)

  security_group_id            = aws_security_group.ledger.id
  description                  = "PostgreSQL from the function"
  referenced_security_group_id = aws_security_group.hook[0].id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

resource "aws_lambda_function" "hook" {
  count = length(local.hooks)

  function_name     = "${var.name}-hook"
  description       = "Turns OpenAI keys by the schedule of Secrets Manager"
  role              = aws_iam_role.hook[0].arn
  runtime           = var.hook.runtime
  handler           = "index.handler"
  architectures     = [var.cpu_architecture == "ARM64" ? "arm64" : "x86_64"]
  s3_bucket         = var.hook.package.bucket
  s3_key            = var.hook.package.key
  s3_object_version = var.hook.package.version
  source_code_hash  = var.hook.package.sha256
  timeout           = 300
  memory_size       = 512
  kms_key_arn       = aws_kms_key.this.arn
  tags              = var.tags

  vpc_config {
    subnet_ids         = var.service_subnet_ids
    security_group_ids = [aws_security_group.hook[0].id]
  }

  environment {
    # Compressed, since all variables of a function together have 4 KB.
    variables = merge(local.hook_variables, { KEYTURN_FILES_GZIP = base64gzip(jsonencode(local.files)) })
  }

  depends_on = [aws_iam_role_policy.hook, aws_iam_role_policy_attachment.hook, aws_cloudwatch_log_group.hook]

  lifecycle {
    precondition {
      condition     = length(base64gzip(jsonencode(local.files))) + length(jsonencode(local.hook_variables)) <= 4000
      error_message = "The configuration, ledger_ca_pem and environment_secrets together are too long for the variables of a function: leave only the certificate of rds-ca-rsa2048-g1 in ledger_ca_pem, or shorten settings."
    }
  }
}

resource "aws_lambda_permission" "secrets_manager" {
  count = length(local.hooks)

  statement_id   = "secrets-manager"
  action         = "lambda:InvokeFunction"
  function_name  = aws_lambda_function.hook[0].function_name
  principal      = "secretsmanager.amazonaws.com"
  source_account = local.account
}

resource "aws_secretsmanager_secret_rotation" "credential" {
  for_each = local.rotated

  secret_id           = aws_secretsmanager_secret.credential[each.key].id
  rotation_lambda_arn = aws_lambda_function.hook[0].arn
  # The first key may not be there yet; until the first rotation is due there is time to look.
  rotate_immediately = false

  rotation_rules {
    automatically_after_days = var.hook.every_days
  }

  # AWS tries the function when its rotation is switched on.
  depends_on = [
    aws_lambda_permission.secrets_manager,
    aws_vpc_security_group_egress_rule.hook_https,
    aws_vpc_security_group_egress_rule.hook_ledger,
    aws_vpc_security_group_ingress_rule.ledger_hook,
  ]
}

# A beat between rotations: old keys are retired, and what was interrupted goes on.
resource "aws_cloudwatch_event_rule" "beat" {
  count = length(local.hooks)

  name                = "${var.name}-hook"
  description         = "Keyturn: what is due between rotations"
  schedule_expression = "rate(15 minutes)"
  tags                = var.tags
}

resource "aws_cloudwatch_event_target" "beat" {
  count = length(local.hooks)

  rule  = aws_cloudwatch_event_rule.beat[0].name
  arn   = aws_lambda_function.hook[0].arn
  input = jsonencode({ keyturn = "tick" })
}

resource "aws_lambda_permission" "beat" {
  count = length(local.hooks)

  statement_id  = "events"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.hook[0].function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.beat[0].arn
}

# PostgreSQL for the replicas: encrypted at rest and on the way, in two zones, out of reach of anybody but them.

resource "aws_db_subnet_group" "ledger" {
  name        = var.name
  description = "The database of Keyturn"
  subnet_ids  = var.database_subnet_ids
  tags        = var.tags
}

resource "aws_db_parameter_group" "ledger" {
  name        = "${var.name}-postgres${var.ledger_engine_version}"
  description = "The database of Keyturn"
  family      = "postgres${var.ledger_engine_version}"
  tags        = var.tags

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_security_group" "ledger" {
  name        = "${var.name}-ledger"
  description = "The database of Keyturn"
  vpc_id      = var.vpc_id
  tags        = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "ledger" {
  security_group_id            = aws_security_group.ledger.id
  description                  = "PostgreSQL from the replicas"
  referenced_security_group_id = aws_security_group.service.id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

resource "aws_cloudwatch_log_group" "ledger" {
  for_each = toset(["postgresql", "upgrade"])

  name              = "/aws/rds/instance/${var.name}/${each.value}"
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.this.arn
  tags              = var.tags
}

resource "aws_db_instance" "ledger" {
  identifier     = var.name
  engine         = "postgres"
  engine_version = var.ledger_engine_version
  instance_class = var.ledger_instance_class

  db_name  = "keyturn"
  username = "keyturn"
  # Keyturn makes its two schemas as the owner of the database; nothing else is in this instance.
  password_wo         = ephemeral.random_password.ledger.result
  password_wo_version = var.ledger_password_version

  storage_type          = "gp3"
  allocated_storage     = 20
  max_allocated_storage = 100
  storage_encrypted     = true
  kms_key_id            = aws_kms_key.this.arn

  multi_az               = true
  publicly_accessible    = false
  db_subnet_group_name   = aws_db_subnet_group.ledger.name
  vpc_security_group_ids = [aws_security_group.ledger.id]
  parameter_group_name   = aws_db_parameter_group.ledger.name
  ca_cert_identifier     = "rds-ca-rsa2048-g1"

  backup_retention_period         = 14
  copy_tags_to_snapshot           = true
  deletion_protection             = var.deletion_protection
  delete_automated_backups        = false
  skip_final_snapshot             = false
  final_snapshot_identifier       = "${var.name}-last"
  auto_minor_version_upgrade      = true
  enabled_cloudwatch_logs_exports = ["postgresql", "upgrade"]
  tags                            = var.tags

  # RDS would make the groups by itself, without encryption and for ever.
  depends_on = [aws_cloudwatch_log_group.ledger]
}

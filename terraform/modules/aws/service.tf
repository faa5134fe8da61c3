# Two replicas or more on ECS Fargate, behind a load balancer that only the network can reach.

module "configuration" {
  source = "../configuration"

  store           = { kind = "aws-secrets-manager", region = local.region }
  issuers         = var.issuers
  credentials     = var.credentials
  secrets         = { for name, secret in aws_secretsmanager_secret.credential : name => secret.name }
  admin_secrets   = { for name, secret in aws_secretsmanager_secret.admin : name => secret.name }
  hosts           = [var.host_name]
  trusted_proxies = var.load_balancer_subnets.cidr_blocks
  native_schedule = var.hook != null
  settings        = var.settings

  ledger = {
    host              = aws_db_instance.ledger.address
    database          = aws_db_instance.ledger.db_name
    user              = aws_db_instance.ledger.username
    password_variable = "KEYTURN_LEDGER_PASSWORD"
    # Beside the configuration, here and where the hook runs.
    ca_file = "ledger-ca.pem"
  }
}

locals {
  port = 7420
  # A volume of the image, so that its user may write there; it is empty when a task begins.
  state = "/var/lib/keyturn"

  files = {
    "keyturn.yaml"  = module.configuration.yaml
    "ledger-ca.pem" = var.ledger_ca_pem
  }

  write_files = "const{mkdirSync,writeFileSync}=require('node:fs');const folder='${local.state}/config';mkdirSync(folder,{recursive:true});for(const[name,text]of Object.entries(JSON.parse(process.env.KEYTURN_FILES)))writeFileSync(folder+'/'+name,text)"

  log = {
    logDriver = "awslogs"
    options = {
      awslogs-group         = aws_cloudwatch_log_group.service.name
      awslogs-region        = local.region
      awslogs-stream-prefix = "service"
    }
  }

  environment_secrets = merge(var.environment_secrets, { KEYTURN_LEDGER_PASSWORD = aws_secretsmanager_secret.ledger.arn })

  mount = { sourceVolume = "state", containerPath = local.state, readOnly = false }

  container = {
    image                  = var.image
    readonlyRootFilesystem = true
    user                   = "65532:65532"
    mountPoints            = [local.mount]
    logConfiguration       = local.log
    linuxParameters        = { capabilities = { drop = ["ALL"] }, initProcessEnabled = false }
  }
}

resource "aws_ecs_cluster" "this" {
  name = var.name
  tags = var.tags

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_ecs_task_definition" "service" {
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  task_role_arn            = aws_iam_role.rotator.arn
  execution_role_arn       = aws_iam_role.start.arn
  tags                     = var.tags

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.cpu_architecture
  }

  volume {
    name = "state"
  }

  container_definitions = jsonencode([
    # Fargate mounts no files: the configuration, which holds no secret, is written down before the service starts.
    merge(local.container, {
      name        = "configuration"
      essential   = false
      entryPoint  = ["/usr/local/bin/node"]
      command     = ["-e", local.write_files]
      environment = [{ name = "KEYTURN_FILES", value = jsonencode(local.files) }]
    }),
    merge(local.container, {
      name         = "keyturn"
      essential    = true
      dependsOn    = [{ containerName = "configuration", condition = "SUCCESS" }]
      portMappings = [{ containerPort = local.port, protocol = "tcp" }]
      stopTimeout  = 30
      environment = [
        { name = "KEYTURN_CONFIG", value = "${local.state}/config/keyturn.yaml" },
        { name = "KEYTURN_HOME", value = "${local.state}/home" },
      ]
      secrets = [for name, arn in local.environment_secrets : { name = name, valueFrom = arn }]
      healthCheck = {
        command     = ["CMD", "/usr/local/bin/node", "/opt/keyturn/healthcheck.js"]
        interval    = 10
        timeout     = 5
        retries     = 3
        startPeriod = 30
      }
    }),
  ])
}

resource "aws_ecs_service" "this" {
  name                               = var.name
  cluster                            = aws_ecs_cluster.this.id
  task_definition                    = aws_ecs_task_definition.service.arn
  desired_count                      = var.replicas
  launch_type                        = "FARGATE"
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  health_check_grace_period_seconds  = 60
  enable_execute_command             = false
  propagate_tags                     = "SERVICE"
  force_new_deployment               = true
  tags                               = var.tags

  # A task reads the password when it starts: a new one has to bring new tasks.
  triggers = { ledger_password = tostring(var.ledger_password_version) }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.service_subnet_ids
    security_groups  = [aws_security_group.service.id]
    assign_public_ip = false
  }

  load_balancer {
    target_group_arn = aws_lb_target_group.this.arn
    container_name   = "keyturn"
    container_port   = local.port
  }

  depends_on = [
    aws_lb_listener.https,
    aws_iam_role_policy.start,
    aws_iam_role_policy_attachment.rotator,
    aws_secretsmanager_secret_version.ledger,
  ]
}

resource "aws_security_group" "service" {
  name        = "${var.name}-service"
  description = "Replicas of Keyturn"
  vpc_id      = var.vpc_id
  tags        = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "service" {
  security_group_id            = aws_security_group.service.id
  description                  = "From the load balancer"
  referenced_security_group_id = aws_security_group.load_balancer.id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_vpc_security_group_egress_rule" "service_https" {
  security_group_id = aws_security_group.service.id
  description       = "OpenAI and AWS, over TLS"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "service_further" {
  for_each = toset([for port in var.further_ports : tostring(port)])

  security_group_id = aws_security_group.service.id
  description       = "What settings name"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = tonumber(each.value)
  to_port           = tonumber(each.value)
}

resource "aws_vpc_security_group_egress_rule" "service_ledger" {
  security_group_id            = aws_security_group.service.id
  description                  = "The database"
  referenced_security_group_id = aws_security_group.ledger.id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

# ---------------------------------------------------------------- the load balancer

resource "aws_security_group" "load_balancer" {
  name        = "${var.name}-load-balancer"
  description = "The load balancer of Keyturn"
  vpc_id      = var.vpc_id
  tags        = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "clients_by_network" {
  for_each = var.client_cidr_blocks

  security_group_id = aws_security_group.load_balancer.id
  description       = "Apps"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_ingress_rule" "clients_by_group" {
  for_each = var.client_security_group_ids

  security_group_id            = aws_security_group.load_balancer.id
  description                  = "Apps: ${each.key}"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_egress_rule" "load_balancer" {
  security_group_id            = aws_security_group.load_balancer.id
  description                  = "The replicas"
  referenced_security_group_id = aws_security_group.service.id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_lb" "this" {
  name                       = var.name
  internal                   = true
  load_balancer_type         = "application"
  subnets                    = var.load_balancer_subnets.ids
  security_groups            = [aws_security_group.load_balancer.id]
  drop_invalid_header_fields = true
  enable_deletion_protection = var.deletion_protection
  # Below the 65 s after which Keyturn closes an idle connection, or now and then a request meets one that it just closed;
  # above the 60 s that an app may wait for a change. Streams of events are written to every 15 s.
  idle_timeout = 63
  tags         = var.tags
}

resource "aws_lb_target_group" "this" {
  name                 = var.name
  target_type          = "ip"
  protocol             = "HTTP"
  port                 = local.port
  vpc_id               = var.vpc_id
  deregistration_delay = 30
  tags                 = var.tags

  # Whether the process turns, not whether a key can be handed out: a replica without one must be looked at, not replaced.
  health_check {
    path                = "/healthz"
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.this.arn
  protocol          = "HTTPS"
  port              = 443
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = var.certificate_arn
  tags              = var.tags

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this.arn
  }
}

resource "aws_route53_record" "this" {
  count = var.zone == null ? 0 : 1

  zone_id = var.zone.id
  name    = var.host_name
  type    = "A"

  alias {
    name                   = aws_lb.this.dns_name
    zone_id                = aws_lb.this.zone_id
    evaluate_target_health = true
  }
}

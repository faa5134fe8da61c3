import { beforeAll, describe, expect, test } from 'vitest'
import { alarmRules } from './alarm-rules.ts'
import { applyRules } from './apply-rules.ts'
import { openParser } from './hcl.ts'
import { documented, identityRules } from './identities.ts'
import {
  loadModule,
  type Module,
  moduleFolders,
  moduleOf,
  ofType,
  type Parse,
  terraformFolder,
} from './modules.ts'
import { rules as commonRules } from './policy.ts'

const rules = [...commonRules, ...identityRules, ...applyRules, ...alarmRules]
let parse: Parse
let modules: readonly Module[]

beforeAll(async () => {
  parse = await openParser()
  modules = moduleFolders().map((folder) => loadModule(folder, parse))
})

test.each(rules.map((rule) => [rule.name, rule] as const))('%s', (_name, rule) => {
  expect(modules.flatMap((module) => rule.check(module))).toEqual([])
})

test('each type that a rule looks for is there', () => {
  const there = new Set(
    modules.flatMap((module) => ofType(module, 'resource').map(({ labels }) => labels[0])),
  )
  const wanted = rules.flatMap(({ types = [] }) => types)
  expect(wanted.filter((type) => !there.has(type))).toEqual([])
})

test('the permissions are read out of the documentation', () => {
  expect(documented.aws.rotator).toContain('secretsmanager:UpdateSecretVersionStage')
  expect(documented.google.rotator).toHaveLength(6)
  expect(documented.azure.rotator).toHaveLength(4)
  expect(documented.google.reader).toHaveLength(2)
})

describe('a planted violation is found', () => {
  const found = (text: string) => {
    const folder = `${terraformFolder}/modules/planted`
    const module = moduleOf(folder, [{ path: `${folder}/main.tf`, text }], parse)
    return rules.filter((rule) => rule.check(module).length > 0).map(({ name }) => name)
  }
  const bounded = 'terraform {\n  required_version = ">= 1.11, < 2.0"\n}\n'
  const provider = (version: string) =>
    `terraform {\n  required_version = ">= 1.11, < 2.0"\n  required_providers {\n    aws = { source = "hashicorp/aws", version = "${version}" }\n  }\n}\n`
  const statement = (inside: string, name = 'x') =>
    `data "aws_iam_policy_document" "${name}" {\n  statement {\n${inside}\n  }\n}`
  const resource = (type: string, inside: string, name = 'x') =>
    `resource "${type}" "${name}" {\n${inside}\n}`
  const logs = 'logs of the service are encrypted'
  const address = 'nothing has a public address by itself'
  const metrics = 'alarms look at metrics that the clouds have'
  const digest = 'the image is named by digest'
  const switchedOn = 'services of the cloud are switched on before they are used'

  test.each([
    [resource('aws_lb', 'internal = false\nenable_deletion_protection = var.deletion_protection'), address],
    [resource('aws_lb', 'enable_deletion_protection = var.deletion_protection'), address],
    [
      resource(
        'aws_ecs_service',
        'desired_count = var.replicas\nnetwork_configuration {\nassign_public_ip = true\n}',
      ),
      address,
    ],
    [resource('azurerm_container_app_environment', 'internal_load_balancer_enabled = false'), address],
    [
      resource('aws_vpc_security_group_ingress_rule', 'cidr_ipv4 = "0.0.0.0/0"'),
      'nobody is let in from everywhere',
    ],
    [
      resource('aws_security_group', 'ingress {\ncidr_blocks = ["10.0.0.0/8", "0.0.0.0/0"]\n}'),
      'nobody is let in from everywhere',
    ],
    [
      resource(
        'azurerm_network_security_group',
        'security_rule {\naccess = "Allow"\ndirection = "Inbound"\nsource_address_prefix = "*"\n}',
      ),
      'nobody is let in from everywhere',
    ],
    [
      resource('google_cloud_run_v2_service_iam_member', 'member = "allUsers"'),
      'nobody is let in from everywhere',
    ],
    ['locals {\n  ingress = { all = "INGRESS_TRAFFIC_ALL" }\n}', 'nobody is let in from everywhere'],
    [resource('aws_secretsmanager_secret', 'name = "x"'), 'what is kept is encrypted'],
    [resource('aws_cloudwatch_log_group', 'retention_in_days = var.log_retention_days'), logs],
    [resource('aws_lb_listener', 'protocol = "HTTP"'), 'what is on its way is encrypted'],
    [
      resource('aws_db_parameter_group', 'parameter {\nname = "rds.force_ssl"\nvalue = "0"\n}'),
      'what is on its way is encrypted',
    ],
    [
      resource(
        'azurerm_postgresql_flexible_server_configuration',
        'for_each = { require_secure_transport = "off" }',
      ),
      'what is on its way is encrypted',
    ],
    [resource('azurerm_management_lock', 'lock_level = "ReadOnly"'), 'nothing is deleted by accident'],
    [resource('google_secret_manager_secret', 'secret_id = "x"'), 'nothing is deleted by accident'],
    ['variable "deletion_protection" {\n  default = false\n}', 'protection is on where nothing is said'],
    [resource('azurerm_postgresql_flexible_server', ''), 'protection is on where nothing is said'],
    [
      resource(
        'azurerm_container_app',
        'ingress {\nallow_insecure_connections = false\n}\ntemplate {\nmin_replicas = 1\n}',
      ),
      'there are two replicas at least, and two of the database',
    ],
    [
      'variable "replicas" {\n  default = 1\n  validation {\n    condition = var.replicas >= 1\n  }\n}',
      'fewer replicas than two are refused',
    ],
    ['variable "replicas" {\n  default = 2\n}', 'fewer replicas than two are refused'],
    [resource('aws_cloudwatch_log_group', 'kms_key_id = "k"'), 'logs are kept for a time'],
    ['variable "image" {\n  default = "keyturn:latest"\n}', digest],
    [resource('aws_x', 'containers {\nimage = "postgres:17"\n}'), digest],
    [resource('aws_db_instance', 'password = random_x.y.result'), 'no secret is in a plan or a state'],
    [
      resource('aws_secretsmanager_secret_version', 'secret_string = var.x'),
      'no secret is in a plan or a state',
    ],
    [
      resource('aws_secretsmanager_secret_version', 'secret_string_wo = var.x'),
      'no secret is in a plan or a state',
    ],
    [resource('azurerm_key_vault_secret', 'value = "x"'), 'no secret is in a plan or a state'],
    [resource('random_password', 'length = 40'), 'no secret is in a plan or a state'],
    [
      'data "aws_secretsmanager_secret_version" "x" {\n  secret_id = "x"\n}',
      'no secret is in a plan or a state',
    ],
    [provider('>= 6.25'), 'versions are pinned'],
    ['terraform {\n  required_version = ">= 1.11"\n}', 'versions are pinned'],
    [statement('actions = ["secretsmanager:*"]\nresources = [var.x]'), 'no permission is for everything'],
    [statement('actions = ["kms:Decrypt"]\nresources = ["*"]'), 'no permission is for everything'],
    [statement('not_actions = ["kms:Decrypt"]\nresources = [var.x]'), 'no permission is for everything'],
    [
      resource(
        'azurerm_role_definition',
        'permissions {\ndata_actions = ["Microsoft.KeyVault/vaults/secrets/*"]\n}',
      ),
      'no permission is for everything',
    ],
    [
      resource('google_secret_manager_secret_iam_member', 'role = "roles/secretmanager.admin"'),
      'no role of a cloud reaches further than its task',
    ],
    [
      resource('google_project_iam_member', 'role = var.x'),
      'no role of a cloud reaches further than its task',
    ],
    [
      resource(
        'aws_iam_role_policy_attachment',
        'policy_arn = "arn:aws:iam::aws:policy/AdministratorAccess"',
      ),
      'no role of a cloud reaches further than its task',
    ],
    [
      resource('azurerm_role_assignment', 'role_definition_name = "Owner"'),
      'no role of a cloud reaches further than its task',
    ],
    [
      statement(
        'actions = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret", "secretsmanager:PutSecretValue", "kms:Decrypt"]\nresources = [var.x]',
        'reader',
      ),
      'reader and rotator have what docs/stores.md says, and nothing more',
    ],
    [
      statement('actions = ["logs:PutLogEvents"]\nresources = [var.x]', 'flow'),
      'a service of AWS has what it says that it needs',
    ],
    [
      statement('actions = ["secretsmanager:DeleteSecret"]\nresources = [var.x]', 'rotator'),
      'reader and rotator have what docs/stores.md says, and nothing more',
    ],
    [
      resource('google_project_iam_custom_role', 'permissions = ["secretmanager.versions.access"]', 'reader'),
      'reader and rotator have what docs/stores.md says, and nothing more',
    ],
    [
      resource(
        'azurerm_role_definition',
        'permissions {\nactions = ["Microsoft.KeyVault/vaults/write"]\ndata_actions = []\n}',
        'rotator',
      ),
      'reader and rotator have what docs/stores.md says, and nothing more',
    ],
    [resource('aws_lb', 'idle_timeout = 300'), 'an idle connection is closed by the load balancer'],
    [resource('aws_lb', 'idle_timeout = 60'), 'an idle connection is closed by the load balancer'],
    [
      'locals {\n  metric = google_logging_metric.x.name\n}\n' +
        resource('google_monitoring_alert_policy', 'conditions {\nfilter = "metric.type=${local.metric}"\n}'),
      'no alarm looks for a metric that is made in the same run',
    ],
    [
      resource('google_secret_manager_secret_version', 'secret_data_wo = ephemeral.x.y.z'),
      'what is mounted stays until its successor is there',
    ],
    [
      resource('azurerm_private_dns_zone', 'name = "${var.name}.postgres.database.azure.com"'),
      'the zone of a database is not called as a server may be',
    ],
    [resource('google_project_service', 'for_each = toset(["run.googleapis.com"])'), switchedOn],
    [
      resource(
        'google_project_service',
        'for_each = toset(["run.googleapis.com", "cloudresourcemanager.googleapis.com"])',
      ) + '\nmodule "x" {\nproject = var.project\n}',
      switchedOn,
    ],
    ['provider "azurerm" {\n  features {}\n}', switchedOn],
    [
      'output "service_subnet_ids" {\n  value = aws_subnet.service[*].id\n}',
      'a network is handed on once it leads somewhere',
    ],
    [
      resource('aws_ecs_service', 'depends_on = [aws_iam_role_policy.start]'),
      'what runs waits for what it may do',
    ],
    [
      resource(
        'aws_cloudwatch_metric_alarm',
        'namespace = "AWS/RDS"\nmetric_name = "FreeStorage"\ndimensions = { DBInstanceIdentifier = var.x }',
      ),
      metrics,
    ],
    [
      resource(
        'aws_cloudwatch_metric_alarm',
        'namespace = "AWS/RDS"\nmetric_name = "FreeStorageSpace"\ndimensions = { DBInstance = var.x }',
      ),
      metrics,
    ],
    [
      resource('aws_cloudwatch_metric_alarm', 'namespace = "Keyturn/${var.name}"\nmetric_name = "Alerts-x"'),
      metrics,
    ],
    [
      resource(
        'google_monitoring_alert_policy',
        'conditions {\ncondition_threshold {\nfilter = "metric.type=\\"run.googleapis.com/requests\\" AND resource.labels.service_name=\\"${var.name}\\""\n}\n}',
      ),
      metrics,
    ],
    [
      resource(
        'azurerm_monitor_metric_alert',
        'criteria {\nmetric_namespace = "Microsoft.App/containerApps"\nmetric_name = "ReplicaCount"\n}',
      ),
      metrics,
    ],
    [
      'variable "zone" {\n  type = string\n}\n' +
        resource('aws_route53_record', 'count = var.zone == null ? 0 : 1'),
      'how many there are of a resource is known in the plan',
    ],
    [
      'variable "members" {\n  type = set(string)\n}\nlocals {\n  all = { for one in var.members : one => one }\n}\n' +
        resource('google_secret_manager_secret_iam_member', 'for_each = local.all'),
      'how many there are of a resource is known in the plan',
    ],
  ])('%s', (text, rule) => {
    const whole = text.startsWith('terraform') ? text : `${bounded}${text}`
    expect(found(whole)).toContain(rule)
  })

  test('nothing is found where nothing is wrong', () => {
    expect(found(bounded)).toEqual([])
  })
})

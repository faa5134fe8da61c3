import { type Block, type Body, type Expression, partsIn, textOf } from './hcl.ts'
import { inner, type Module, ofType, type Placed, placeOf, textIn, valueOf } from './modules.ts'

/** What every module keeps to, whatever else it does. Each rule says where it is broken. */
export interface Rule {
  readonly name: string
  /** Types that it looks for, so that none is looked for in vain. */
  readonly types?: readonly string[]
  readonly check: (module: Module) => readonly string[]
}

/** What has to stand where a resource of a type is. */
interface Must {
  readonly type: string
  /** `settings.ip_configuration.ipv4_enabled`: blocks, and the argument in the last of them. */
  readonly at: string
  readonly is: (value: Expression | undefined) => boolean
}

const literal = (wanted: string | number | boolean) => (value: Expression | undefined) =>
  (textOf(value) ?? (value?.kind === 'literal' ? value.value : undefined)) === wanted
const isSet = (value: Expression | undefined) => value !== undefined
const refersTo =
  (...wanted: readonly string[]) =>
  (value: Expression | undefined) =>
    value?.kind === 'reference' &&
    wanted.includes(value.steps.filter((step) => typeof step === 'string').join('.'))

function must(name: string, all: readonly Must[]): Rule {
  return {
    name,
    types: all.map(({ type }) => type),
    check: (module) =>
      all.flatMap(({ type, at, is }) =>
        ofType(module, 'resource')
          .filter(({ labels }) => labels[0] === type)
          .filter((block) => {
            const path = at.split('.')
            const last = path.pop() ?? ''
            const bodies = path.reduce<readonly Body[]>(
              (all, step) => all.flatMap((body) => inner(body, step)),
              [block],
            )
            return bodies.length === 0 || bodies.some((body) => !is(valueOf(body, last)))
          })
          .map((block) => `${placeOf(block)}: ${at}`),
      ),
  }
}

const replicas = refersTo('var.replicas')
const protection = refersTo('var.deletion_protection')

export const rules: readonly Rule[] = [
  must('nothing has a public address by itself', [
    { type: 'aws_lb', at: 'internal', is: literal(true) },
    { type: 'aws_db_instance', at: 'publicly_accessible', is: literal(false) },
    { type: 'aws_ecs_service', at: 'network_configuration.assign_public_ip', is: literal(false) },
    {
      type: 'google_sql_database_instance',
      at: 'settings.ip_configuration.ipv4_enabled',
      is: literal(false),
    },
    { type: 'google_sql_database_instance', at: 'settings.ip_configuration.private_network', is: isSet },
    // Its table of values and the validation of the variable are looked at below.
    { type: 'google_cloud_run_v2_service', at: 'ingress', is: refersTo('local.ingress') },
    { type: 'azurerm_container_app_environment', at: 'internal_load_balancer_enabled', is: literal(true) },
    { type: 'azurerm_postgresql_flexible_server', at: 'public_network_access_enabled', is: literal(false) },
    { type: 'azurerm_postgresql_flexible_server', at: 'delegated_subnet_id', is: isSet },
    { type: 'azurerm_key_vault', at: 'public_network_access_enabled', is: isOnlyWithAddresses },
    { type: 'azurerm_key_vault', at: 'network_acls.default_action', is: literal('Deny') },
  ]),
  { name: 'nobody is let in from everywhere', check: openDoors },
  must('what is kept is encrypted', [
    { type: 'aws_db_instance', at: 'storage_encrypted', is: literal(true) },
    { type: 'aws_db_instance', at: 'kms_key_id', is: isSet },
    { type: 'aws_secretsmanager_secret', at: 'kms_key_id', is: isSet },
    { type: 'aws_lambda_function', at: 'kms_key_arn', is: isSet },
    { type: 'aws_kms_key', at: 'enable_key_rotation', is: literal(true) },
    // Google and Azure encrypt everything that is kept; there a key of one's own can be given.
    { type: 'google_sql_database_instance', at: 'encryption_key_name', is: refersTo('var.kms_key_name') },
    { type: 'google_pubsub_topic', at: 'kms_key_name', is: refersTo('var.kms_key_name') },
  ]),
  { name: 'logs of the service are encrypted', check: plainLogs },
  must('what is on its way is encrypted', [
    { type: 'aws_lb_listener', at: 'protocol', is: literal('HTTPS') },
    { type: 'aws_lb_listener', at: 'ssl_policy', is: (value) => /TLS13/.test(textOf(value) ?? '') },
    { type: 'aws_db_parameter_group', at: 'parameter.name', is: literal('rds.force_ssl') },
    { type: 'aws_db_parameter_group', at: 'parameter.value', is: literal('1') },
    {
      type: 'google_sql_database_instance',
      at: 'settings.ip_configuration.ssl_mode',
      is: literal('ENCRYPTED_ONLY'),
    },
    { type: 'azurerm_container_app', at: 'ingress.allow_insecure_connections', is: literal(false) },
    { type: 'azurerm_postgresql_flexible_server_configuration', at: 'for_each', is: hasSecureTransport },
  ]),
  must('nothing is deleted by accident', [
    { type: 'aws_db_instance', at: 'deletion_protection', is: protection },
    { type: 'aws_db_instance', at: 'skip_final_snapshot', is: literal(false) },
    { type: 'aws_lb', at: 'enable_deletion_protection', is: protection },
    { type: 'google_sql_database_instance', at: 'deletion_protection', is: protection },
    { type: 'google_sql_database_instance', at: 'settings.deletion_protection_enabled', is: protection },
    { type: 'google_cloud_run_v2_service', at: 'deletion_protection', is: protection },
    // Google keeps nothing of a secret that is deleted; AWS and Azure do, for as long as is said there.
    { type: 'google_secret_manager_secret', at: 'deletion_protection', is: protection },
    { type: 'aws_secretsmanager_secret', at: 'recovery_window_in_days', is: isSet },
    { type: 'azurerm_key_vault', at: 'purge_protection_enabled', is: literal(true) },
    { type: 'azurerm_management_lock', at: 'lock_level', is: literal('CanNotDelete') },
  ]),
  { name: 'protection is on where nothing is said', check: protectionDefaults },
  must('there are two replicas at least, and two of the database', [
    { type: 'aws_ecs_service', at: 'desired_count', is: replicas },
    { type: 'aws_db_instance', at: 'multi_az', is: literal(true) },
    { type: 'google_cloud_run_v2_service', at: 'template.scaling.min_instance_count', is: replicas },
    { type: 'google_cloud_run_v2_service', at: 'template.containers.resources.cpu_idle', is: literal(false) },
    { type: 'google_sql_database_instance', at: 'settings.availability_type', is: literal('REGIONAL') },
    { type: 'azurerm_container_app', at: 'template.min_replicas', is: replicas },
    {
      type: 'azurerm_postgresql_flexible_server',
      at: 'high_availability.mode',
      is: literal('ZoneRedundant'),
    },
  ]),
  { name: 'fewer replicas than two are refused', check: replicaDefaults },
  must('logs are kept for a time', [
    { type: 'aws_cloudwatch_log_group', at: 'retention_in_days', is: refersTo('var.log_retention_days') },
    {
      type: 'google_logging_project_bucket_config',
      at: 'retention_days',
      is: refersTo('var.log_retention_days'),
    },
    {
      type: 'azurerm_log_analytics_workspace',
      at: 'retention_in_days',
      is: refersTo('var.log_retention_days'),
    },
  ]),
  { name: 'the image is named by digest', check: images },
  { name: 'no secret is in a plan or a state', check: secretValues },
  { name: 'versions are pinned', check: versions },
]

// ----------------------------------------------------------------- addresses

function isOnlyWithAddresses(value: Expression | undefined): boolean {
  const names = value === undefined ? [] : [...partsIn(value)].filter(({ kind }) => kind === 'reference')
  return value?.kind === 'other' && names.every((name) => refersTo('var.vault_allowed_addresses')(name))
}

/** Out to everywhere is needed for api.openai.com; in is not. */
function openDoors(module: Module): readonly string[] {
  const everywhere = /^(?:0\.0\.0\.0\/0|::\/0|\*|Internet|allUsers|allAuthenticatedUsers)$/
  const guarded = ofType(module, 'resource').flatMap((block) => {
    const [type = ''] = block.labels
    if (type === 'aws_vpc_security_group_ingress_rule') return [{ block, body: block }]
    if (type === 'aws_security_group') return inner(block, 'ingress').map((body) => ({ block, body: body }))
    if (type === 'azurerm_network_security_group')
      return inner(block, 'security_rule')
        .filter((rule) => textIn(rule, 'access') === 'Allow' && textIn(rule, 'direction') === 'Inbound')
        .map((body) => ({ block, body: body }))
    if (type.endsWith('_iam_member')) return [{ block, body: block }]
    return []
  })
  const sources = new Set(['cidr_ipv4', 'cidr_ipv6', 'cidr_blocks', 'source_address_prefix', 'member'])
  const open = guarded.filter(({ body }) =>
    body.attributes
      .filter(({ name }) => sources.has(name))
      .some(({ value }) => [...partsIn(value)].some((part) => everywhere.test(textOf(part) ?? ''))),
  )
  const ingress = ofType(module, 'locals').flatMap((locals) => {
    const value = valueOf(locals, 'ingress')
    return value === undefined || ![...partsIn(value)].some((part) => textOf(part) === 'INGRESS_TRAFFIC_ALL')
      ? []
      : [`${locals.file}: INGRESS_TRAFFIC_ALL`]
  })
  const written = ofType(module, 'resource').filter(
    ({ labels }) => labels[0] === 'azurerm_postgresql_flexible_server_firewall_rule',
  )
  return [...open.map(({ block }) => placeOf(block)), ...ingress, ...written.map(placeOf)]
}

// ----------------------------------------------------------------- encryption

/** Those of the network hold addresses and ports alone. */
function plainLogs(module: Module): readonly string[] {
  if (module.name.endsWith('/network')) return []
  return ofType(module, 'resource')
    .filter(({ labels }) => labels[0] === 'aws_cloudwatch_log_group')
    .filter((block) => valueOf(block, 'kms_key_id') === undefined)
    .map(placeOf)
}

function hasSecureTransport(value: Expression | undefined): boolean {
  const entries = value?.kind === 'object' ? value.entries : []
  return entries.some(
    (entry) => textOf(entry.key) === 'require_secure_transport' && textOf(entry.value) === 'on',
  )
}

// ----------------------------------------------------------------- variables

function variable(module: Module, name: string): Placed | undefined {
  return ofType(module, 'variable').find(({ labels }) => labels[0] === name)
}

function protectionDefaults(module: Module): readonly string[] {
  const found = variable(module, 'deletion_protection')
  const locks = ofType(module, 'resource').filter(({ labels }) => labels[0] === 'azurerm_management_lock')
  const locked = ofType(module, 'resource')
    .filter(({ labels }) => labels[0] === 'azurerm_postgresql_flexible_server')
    .filter(({ labels }) => !locks.some((lock) => refersTo(`${labels.join('.')}.id`)(valueOf(lock, 'scope'))))
    .map((block) => `${placeOf(block)}: no lock`)
  const isOff = found !== undefined && !literal(true)(valueOf(found, 'default'))
  return [...(isOff ? [`${found.file}: deletion_protection`] : []), ...locked]
}

function replicaDefaults(module: Module): readonly string[] {
  const found = variable(module, 'replicas')
  if (found === undefined) return []
  const value = valueOf(found, 'default')
  const isEnough = value?.kind === 'literal' && typeof value.value === 'number' && value.value >= 2
  return isEnough && conditionsOf(found).some((one) => numbersIn(one).includes(2))
    ? []
    : [`${found.file}: replicas`]
}

function images(module: Module): readonly string[] {
  const found = variable(module, 'image')
  const unchecked =
    found === undefined || module.name.startsWith('examples/') || conditionsOf(found).some(isDigestPattern)
      ? []
      : [`${found.file}: image`]
  // What runs is that variable and nothing else.
  const other = module.blocks
    .filter(({ type }) => type === 'resource')
    .flatMap((block) => imagesIn(block).map((value) => ({ block, value })))
    .filter(({ value }) => !refersTo('var.image')(value))
    .map(({ block }) => placeOf(block))
  return [...unchecked, ...other]
}

function imagesIn(body: Body): readonly Expression[] {
  const own = body.attributes
    .filter(({ name }) => name === 'image' || name === 'image_uri')
    .map(({ value }) => value)
  return [...own, ...body.blocks.flatMap(imagesIn)]
}

function conditionsOf(block: Block): readonly Expression[] {
  return inner(block, 'validation').flatMap((one) => valueOf(one, 'condition') ?? [])
}

function numbersIn(value: Expression): readonly unknown[] {
  return [...partsIn(value)].flatMap((part) => (part.kind === 'literal' ? [part.value] : []))
}

function isDigestPattern(condition: Expression): boolean {
  return [...partsIn(condition)].some((part) => (textOf(part) ?? '').endsWith('@sha256:[0-9a-f]{64}$'))
}

// ----------------------------------------------------------------- secrets

const secretArguments =
  /(?:^|_)(?:password|secret_string|secret_data|secret_binary|private_key|access_key|api_key|token|connection_string|passphrase)$/
/** Where a value itself is written down, and not the name of a secret. */
const valueArguments: Readonly<Record<string, string>> = {
  azurerm_key_vault_secret: 'value',
  aws_ssm_parameter: 'value',
}
/** Resources whose attributes would be secrets in a state. */
const leaking =
  /^(?:random_password|random_string|tls_private_key|google_service_account_key|aws_iam_access_key|google_sql_ssl_cert|azurerm_storage_account|azurerm_application_insights)$/

function secretValues(module: Module): readonly string[] {
  return module.blocks
    .filter(({ type }) => ['resource', 'data'].includes(type))
    .flatMap((block) => {
      const [type = ''] = block.labels
      const reads = block.type === 'data' && /secret_version|key_vault_secret$/.test(type)
      const leaks = leaking.test(type) || reads ? [`${placeOf(block)}: its value would be in the state`] : []
      return [...leaks, ...secretsIn(block, type).map((problem) => `${placeOf(block)}: ${problem}`)]
    })
}

function secretsIn(body: Body, type: string): readonly string[] {
  const own = body.attributes.flatMap(({ name, value }) => {
    if (secretArguments.test(name) || valueArguments[type] === name) return [name]
    return name.endsWith('_wo') && !isForNobody(value) ? [`${name} is no ephemeral value`] : []
  })
  return [...own, ...body.blocks.flatMap((block) => secretsIn(block, type))]
}

/** An ephemeral value; or one that is no secret: a file without secrets, or the word for no key yet. */
function isForNobody(value: Expression): boolean {
  if (textOf(value) === 'no-key-yet') return true
  return value.kind === 'reference' && (value.steps[0] === 'ephemeral' || refersTo('each.value')(value))
}

// ----------------------------------------------------------------- versions

function versions(module: Module): readonly string[] {
  const terraform = ofType(module, 'terraform')
  if (terraform.length === 0) return [`${module.name}: no terraform block`]
  const isBounded = terraform.some((block) =>
    /^>= 1\.\d+, < 2\.0$/.test(textIn(block, 'required_version') ?? ''),
  )
  const loose = terraform
    .flatMap((block) => inner(block, 'required_providers'))
    .flatMap(({ attributes }) => attributes)
    .filter(({ value }) => {
      const entries = value.kind === 'object' ? value.entries : []
      const version = entries.find((entry) => textOf(entry.key) === 'version')
      return !/^~> \d+\.\d+$/.test(textOf(version?.value) ?? '')
    })
  return [
    ...(isBounded ? [] : [`${module.name}: required_version`]),
    ...loose.map(({ name }) => `${module.name}: ${name}`),
  ]
}

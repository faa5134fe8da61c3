import { waitSecondsMax } from '../../src/api/validators.ts'
import { defaultLimits } from '../../src/server/limits.ts'
import { type Body, directParts, type Expression, partsIn, type Step, textOf } from './hcl.ts'
import { inner, type Module, ofType, type Placed, placeOf, valueOf } from './modules.ts'
import type { Rule } from './policy.ts'

/** What has to be there before something runs, by its type. */
const permissions: Readonly<Record<string, readonly string[]>> = {
  aws_ecs_service: ['aws_iam_role_policy', 'aws_iam_role_policy_attachment'],
  aws_lambda_function: ['aws_iam_role_policy', 'aws_iam_role_policy_attachment'],
  google_cloud_run_v2_service: ['google_secret_manager_secret_iam_member'],
  azurerm_container_app: ['azurerm_role_assignment'],
}

/** What Terraform takes and a cloud does not: seen only when it is applied, or later, when a replica is replaced. */
export const applyRules: readonly Rule[] = [
  { name: 'an idle connection is closed by the load balancer', types: ['aws_lb'], check: idleTimeouts },
  {
    name: 'no alarm looks for a metric that is made in the same run',
    types: ['google_monitoring_alert_policy'],
    check: youngMetrics,
  },
  {
    name: 'what is mounted stays until its successor is there',
    types: ['google_secret_manager_secret_version'],
    check: mountedVersions,
  },
  {
    name: 'the zone of a database is not called as a server may be',
    types: ['azurerm_private_dns_zone'],
    check: zoneNames,
  },
  { name: 'services of the cloud are switched on before they are used', check: services },
  { name: 'a network is handed on once it leads somewhere', check: waysOut },
  { name: 'what runs waits for what it may do', types: Object.keys(permissions), check: earlyStarts },
  { name: 'how many there are of a resource is known in the plan', check: unknownCounts },
]

/** Shorter than Keyturn keeps an idle connection, longer than the longest answer that it waits with. */
function idleTimeouts(module: Module): readonly string[] {
  return resources(module, 'aws_lb')
    .filter((block) => {
      const value = valueOf(block, 'idle_timeout')
      const seconds = value?.kind === 'literal' ? Number(value.value) : Number.NaN
      return !(seconds > waitSecondsMax && seconds * 1_000 < defaultLimits.keepAliveTimeoutMs)
    })
    .map(placeOf)
}

/** Google says for up to ten minutes that there is no such metric (hashicorp/terraform-provider-google#11102, read 2026-11-26). */
function youngMetrics(module: Module): readonly string[] {
  return resources(module, 'google_monitoring_alert_policy')
    .filter((block) => namesIn(block, module).has('google_logging_metric'))
    .map(placeOf)
}

function mountedVersions(module: Module): readonly string[] {
  return resources(module, 'google_secret_manager_secret_version')
    .filter((block) => {
      const [value] = inner(block, 'lifecycle').map((one) => valueOf(one, 'create_before_destroy'))
      return !(value?.kind === 'literal' && value.value === true)
    })
    .map(placeOf)
}

/** Azure refuses `NAME.postgres.database.azure.com` where a server has that name, and takes a further part before it. */
function zoneNames(module: Module): readonly string[] {
  return resources(module, 'azurerm_private_dns_zone')
    .filter((block) => {
      const value = valueOf(block, 'name')
      const last =
        textOf(value) ?? (value?.kind === 'template' ? textOf(value.parts.at(-1)) : undefined) ?? ''
      return last.endsWith('.postgres.database.azure.com') && last.split('.').length < 6
    })
    .map(placeOf)
}

/** Of Google by an argument of everything that needs one; of Azure by the provider, which leaves Microsoft.App out. */
function services(module: Module): readonly string[] {
  const apis = resources(module, 'google_project_service')
  const early =
    apis.length === 0
      ? []
      : ofType(module, 'module').filter((call) => !namesIn(call, module).has('google_project_service'))
  const listed = apis.flatMap((block) =>
    [...partsIn(valueOf(block, 'for_each') ?? nothing)].map((part) => textOf(part)),
  )
  const needed = apis.length === 0 ? [] : ['cloudresourcemanager.googleapis.com', 'run.googleapis.com']
  const azure = ofType(module, 'provider').filter(
    (block) =>
      block.labels[0] === 'azurerm' &&
      ![...partsIn(valueOf(block, 'resource_providers_to_register') ?? nothing)].some(
        (part) => textOf(part) === 'Microsoft.App',
      ),
  )
  return [
    ...[...early, ...azure].map(placeOf),
    ...needed.filter((api) => !listed.includes(api)).map((api) => `${module.name}: ${api}`),
  ]
}

const roads: readonly string[] = [
  'aws_route',
  'azurerm_subnet_nat_gateway_association',
  'google_service_networking_connection',
]

function waysOut(module: Module): readonly string[] {
  return ofType(module, 'output')
    .filter(({ labels: [name = ''] }) => /^service_subnet|^network_id$/.test(name))
    .filter((output) => !roads.some((road) => namesIn(output, module).has(road)))
    .map(placeOf)
}

/** Its permissions are not in what it is made of: it would start without them. */
function earlyStarts(module: Module): readonly string[] {
  return Object.entries(permissions).flatMap(([type, wanted]) =>
    resources(module, type).flatMap((block) => {
      const value = valueOf(block, 'depends_on')
      const waitsFor = new Set(value === undefined ? [] : [...referencesOf(value, module)])
      return wanted.filter((one) => !waitsFor.has(one)).map((one) => `${placeOf(block)}: ${one}`)
    }),
  )
}

/**
 * A number of resources that depends on a text, or on the texts of a set, cannot be planned where that text is of a
 * resource of the same run. Whether an object is there is known, and so are the keys of a map.
 */
function unknownCounts(module: Module): readonly string[] {
  const texts = new Set(
    ofType(module, 'variable')
      .filter((variable) => isOfTexts(valueOf(variable, 'type')) && !settled.has(variable.labels[0] ?? ''))
      .map(({ labels }) => `var.${labels[0] ?? ''}`),
  )
  return ofType(module, 'resource').flatMap((block) =>
    ['count', 'for_each']
      .map((name) => valueOf(block, name))
      .filter((value) => value !== undefined)
      .flatMap((value) => [...referencesOf(value, module)].filter((name) => texts.has(name)))
      .map((name) => `${placeOf(block)}: ${name}`),
  )
}

/** Written down by whoever uses the module, and made by no resource. */
const settled: ReadonlySet<string> = new Set(['name', 'client_cidr_blocks', 'interface_endpoints'])

function isOfTexts(type: Expression | undefined): boolean {
  if (type?.kind === 'call') return type.name === 'set' && isOfTexts(type.args[0])
  return type?.kind === 'reference' && type.steps[0] === 'string'
}

// ----------------------------------------------------------------- what is looked at

const nothing: Expression = { kind: 'literal', value: null }

function resources(module: Module, type: string): readonly Placed[] {
  return ofType(module, 'resource').filter(({ labels }) => labels[0] === type)
}

/** Types and variables that anything in a block refers to. */
function namesIn(body: Body, module: Module): ReadonlySet<string> {
  const own = body.attributes.flatMap(({ value }) => [...referencesOf(value, module)])
  return new Set([...own, ...body.blocks.flatMap((block) => [...namesIn(block, module)])])
}

/** `var.x` and `google_x`, also by way of locals; without what `length` is asked of, which is known of a list. */
function* referencesOf(value: Expression, module: Module): Generator<string> {
  if (value.kind === 'call' && value.name === 'length') return
  if (value.kind === 'reference') yield* meantBy(value.steps, module)
  for (const part of directParts(value)) yield* referencesOf(part, module)
}

function* meantBy([root, name]: readonly Step[], module: Module): Generator<string> {
  if (typeof root !== 'string') return
  if (root !== 'local') yield root === 'var' && typeof name === 'string' ? `var.${name}` : root
  else if (typeof name === 'string')
    for (const block of ofType(module, 'locals')) {
      const meant = valueOf(block, name)
      if (meant !== undefined) yield* referencesOf(meant, module)
    }
}

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Body, type Expression, partsIn } from './hcl.ts'
import { inner, type Module, ofType, type Placed, placeOf, textIn, valueOf } from './modules.ts'
import type { Rule } from './policy.ts'

/** Who may do what: no stars, no roles of a cloud's that reach further, and of stores exactly what docs/stores.md lists. */
export const identityRules: readonly Rule[] = [
  { name: 'no permission is for everything', check: stars },
  { name: 'no role of a cloud reaches further than its task', check: builtInRoles },
  { name: 'a service of AWS has what it says that it needs', check: serviceNeeds },
  { name: 'reader and rotator have what docs/stores.md says, and nothing more', check: storePermissions },
]

/** Where AWS takes nothing narrower. */
const starReasons: Readonly<Record<string, string>> = {
  Administration:
    'in the policy of a key * is that key, and without kms:* for the account nobody could change it again',
  Logs: 'in the policy of a key * is that key',
  LogInToTheRegistry: 'ecr:GetAuthorizationToken knows no resource',
  LookForTheGroup: 'AWS asks for logs:DescribeLogGroups on all groups',
  BeInTheNetwork: 'network interfaces of a function are made before they have a name',
}

function stars(module: Module): readonly string[] {
  const aws = policyStatements(module).flatMap(({ block, statement }) => {
    const sid = textIn(statement, 'sid') ?? ''
    const isExcused = Object.hasOwn(starReasons, sid)
    const actions = textsIn(valueOf(statement, 'actions')).filter((action) => action.includes('*'))
    const resources = textsIn(valueOf(statement, 'resources')).filter((resource) => resource === '*')
    const inverted = ['not_actions', 'not_resources', 'not_principals'].filter(
      (name) => valueOf(statement, name) !== undefined || inner(statement, name).length > 0,
    )
    const found = [...(isExcused ? [] : [...actions, ...resources]), ...inverted]
    return found.map((what) => `${placeOf(block)} ${sid}: ${what}`)
  })
  const azure = roleDefinitions(module).flatMap(({ block, permissions }) =>
    ['actions', 'data_actions']
      .flatMap((name) => textsIn(valueOf(permissions, name)))
      .filter((action) => action.includes('*'))
      .map((action) => `${placeOf(block)}: ${action}`),
  )
  return [...aws, ...azure]
}

/** By their policy or statement, as AWS's own pages have it (read 2026-11-26); without them logs do not come, and nothing says so. */
const needs: Readonly<Record<string, readonly string[]>> = {
  flow: ['logs:CreateLogStream', 'logs:PutLogEvents', 'logs:DescribeLogGroups', 'logs:DescribeLogStreams'],
  Logs: [
    'kms:Encrypt',
    'kms:Decrypt',
    'kms:ReEncryptFrom',
    'kms:ReEncryptTo',
    'kms:GenerateDataKey',
    'kms:GenerateDataKeyWithoutPlaintext',
    'kms:DescribeKey',
  ],
}

function serviceNeeds(module: Module): readonly string[] {
  const given = new Map<string, Set<string>>()
  for (const { block, statement } of policyStatements(module))
    for (const name of [block.labels[1] ?? '', textIn(statement, 'sid') ?? ''].filter((one) => needs[one]))
      given.set(name, new Set([...(given.get(name) ?? []), ...textsIn(valueOf(statement, 'actions'))]))
  return [...given].flatMap(([name, actions]) =>
    (needs[name] ?? [])
      .filter((action) => !actions.has(action))
      .map((action) => `${module.name} ${name}: ${action}`),
  )
}

/** Every other one is a role of the module's own. */
const roleReasons: Readonly<Record<string, string>> = {
  'roles/pubsub.publisher': 'on the topic of the rotation schedule, for Secret Manager',
  AcrPull: 'on the registry of the image, for the service',
  'Key Vault Secrets Officer':
    'on the vault of Keyturn, for whoever runs Terraform: secrets begin with a value there',
}

function builtInRoles(module: Module): readonly string[] {
  const resources = ofType(module, 'resource')
  const named = resources.flatMap((block) =>
    ['role', 'role_definition_name', 'policy_arn', 'managed_policy_arns'].flatMap((name) =>
      textsIn(valueOf(block, name))
        .filter((role) => !Object.hasOwn(roleReasons, role))
        .map((role) => `${placeOf(block)}: ${role}`),
    ),
  )
  // On a project or subscription a role is for everything in it; these take the role away from all others besides.
  const wide = resources.filter(
    ({ labels: [type = ''] }) =>
      !type.startsWith('aws_') &&
      /^google_(?:project|folder|organization)_iam_(?!custom_role)|_iam_(?:policy|binding)$/.test(type),
  )
  return [...named, ...wide.map((block) => `${placeOf(block)}: ${block.labels[0] ?? ''}`)]
}

// ----------------------------------------------------------------- what the documentation says

const documentation = readFileSync(resolve(import.meta.dirname, '../../docs/stores.md'), 'utf8')

/** What docs/stores.md gives a reader and a rotator of each cloud. */
export const documented = {
  aws: {
    reader: awsActions(0),
    rotator: awsActions(1),
  },
  google: {
    reader: googlePermissions('reader'),
    rotator: googlePermissions('rotator'),
  },
  azure: {
    rotator: [...documentation.matchAll(/"(Microsoft\.KeyVault\/[\w/]+)"/g)].map(([, action = '']) => action),
    // The role that is named there, `Key Vault Secrets User`, in its own words.
    reader: [
      'Microsoft.KeyVault/vaults/secrets/getSecret/action',
      'Microsoft.KeyVault/vaults/secrets/readMetadata/action',
    ],
  },
} as const

function awsActions(index: number): readonly string[] {
  const policies = [...documentation.matchAll(/```json\n(\{\n {2}"Version"[\s\S]*?)```/g)]
  const { Statement } = JSON.parse(policies[index]?.[1] ?? '{}') as {
    Statement: readonly { Action: string[] }[]
  }
  // With a key of one's own, as the text beside it says.
  const key = index === 0 ? ['kms:Decrypt'] : ['kms:Decrypt', 'kms:GenerateDataKey']
  return [...Statement.flatMap(({ Action }) => Action), ...key]
}

function googlePermissions(name: string): readonly string[] {
  const block = new RegExp(`--file=${name}\\.yaml[\\s\\S]*?\`\`\``).exec(documentation)?.[0] ?? ''
  return [...block.matchAll(/- (secretmanager\.[\w.]+)/g)].map(([, permission = '']) => permission)
}

function storePermissions(module: Module): readonly string[] {
  const aws = ofType(module, 'data')
    .filter(({ labels: [type] }) => type === 'aws_iam_policy_document')
    .flatMap((block) =>
      differences(
        block,
        documented.aws,
        inner(block, 'statement').flatMap((one) => textsIn(valueOf(one, 'actions'))),
      ),
    )
  const google = ofType(module, 'resource')
    .filter(({ labels: [type] }) => type === 'google_project_iam_custom_role')
    .flatMap((block) => differences(block, documented.google, textsIn(valueOf(block, 'permissions'))))
  const azure = roleDefinitions(module).flatMap(({ block, permissions }) =>
    differences(block, documented.azure, textsIn(valueOf(permissions, 'data_actions'))).concat(
      textsIn(valueOf(permissions, 'actions')).map((action) => `${placeOf(block)}: ${action}`),
    ),
  )
  return [...aws, ...google, ...azure]
}

function differences(
  block: Placed,
  wanted: { readonly reader: readonly string[]; readonly rotator: readonly string[] },
  found: readonly string[],
): readonly string[] {
  const [type = '', name = ''] = block.labels
  if (name !== 'reader' && name !== 'rotator')
    return type === 'aws_iam_policy_document'
      ? []
      : [`${placeOf(block)}: a role of neither reader nor rotator`]
  const more = found.filter((action) => !wanted[name].includes(action))
  const less = wanted[name].filter((action) => !found.includes(action))
  return [
    ...more.map((action) => `${placeOf(block)}: ${action} is not in docs/stores.md`),
    ...less.map((action) => `${placeOf(block)}: ${action} is missing`),
  ]
}

// ----------------------------------------------------------------- what is looked at

function policyStatements(module: Module): readonly { readonly block: Placed; readonly statement: Body }[] {
  return ofType(module, 'data')
    .filter(({ labels: [type] }) => type === 'aws_iam_policy_document')
    .flatMap((block) => inner(block, 'statement').map((statement) => ({ block, statement })))
}

function roleDefinitions(module: Module): readonly { readonly block: Placed; readonly permissions: Body }[] {
  return ofType(module, 'resource')
    .filter(({ labels: [type] }) => type === 'azurerm_role_definition')
    .flatMap((block) => inner(block, 'permissions').map((permissions) => ({ block, permissions })))
}

function textsIn(value: Expression | undefined): readonly string[] {
  return value === undefined
    ? []
    : [...partsIn(value)].flatMap((part) =>
        part.kind === 'literal' && typeof part.value === 'string' ? [part.value] : [],
      )
}

// Keys: minted on a service account, listed, updated and deleted in a project; and the administrators' own.

import {
  archivedError,
  audit,
  context,
  isInOrganization,
  lifetimeError,
  listReply,
  projectOf,
  serviceAccountOf,
} from './admin-common.ts'
import { type AuthenticCall, json, type Reply, type Route, refuse } from './call.ts'
import { isListedAtEdge } from './edges.ts'
import { badRequest, invalidUrl, notFound } from './errors.ts'
import { type Checked, lifetimeField, nameField, objectBody, scopesField } from './input.ts'
import type { KeyRecord, ProjectRecord } from './records.ts'
import { adminKeyView, mintedKeyView, newAdminKeyView, projectKeyView } from './views.ts'
import { isGone, policyAt } from './world.ts'

const PROJECT_KEYS = '/organization/projects/:project/api_keys'
const PROJECT_KEY = `${PROJECT_KEYS}/:key`
const ACCOUNT_KEYS = '/organization/projects/:project/service_accounts/:account/api_keys'
const ADMIN_KEYS = '/organization/admin_api_keys'
const ADMIN_KEY = `${ADMIN_KEYS}/:key`
const read = { area: 'admin', scopes: ['api.management.read', 'api.management.write'] } as const
const write = { area: 'admin', scopes: ['api.management.write'] } as const

export const keyRoutes: readonly Route[] = [
  { ...write, method: 'POST', pattern: ACCOUNT_KEYS, family: 'mint', handle: mintKey },
  { ...read, method: 'GET', pattern: PROJECT_KEYS, handle: listProjectKeys },
  { ...read, method: 'GET', pattern: PROJECT_KEY, handle: retrieveProjectKey },
  { ...write, method: 'POST', pattern: PROJECT_KEY, family: 'update', handle: updateProjectKey },
  { ...write, method: 'DELETE', pattern: PROJECT_KEY, family: 'delete', handle: deleteProjectKey },
  { ...read, method: 'GET', pattern: ADMIN_KEYS, handle: listAdminKeys },
  { ...write, method: 'POST', pattern: ADMIN_KEYS, family: 'mint', handle: createAdminKey },
  { ...read, method: 'GET', pattern: ADMIN_KEY, handle: retrieveAdminKey },
  { ...write, method: 'DELETE', pattern: ADMIN_KEY, family: 'delete', handle: deleteAdminKey },
]

function mintKey(call: AuthenticCall): Reply {
  const refusal = call.knobs.refuseKeyOnExistingAccount
  if (refusal === 404) return refuse(invalidUrl(call.method, call.path))
  if (refusal === 400)
    return refuse(badRequest('This organization cannot add API keys to a service account.'))
  const found = serviceAccountOf(call)
  if ('error' in found) return refuse(found.error)
  const body = objectBody(call.body, ['name', 'scopes', 'expires_in_seconds'])
  if ('error' in body) return refuse(body.error)
  const name = nameField(body.value, 'Secret Key')
  if ('error' in name) return refuse(name.error)
  const scopes = scopesField(body.value)
  if ('error' in scopes) return refuse(scopes.error)
  const lifetime = lifetimeField(body.value, true)
  if ('error' in lifetime) return refuse(lifetime.error)
  const { account, project } = found.value
  const problem = archivedError(project) ?? lifetimeError(call, lifetime.value)
  if (problem !== undefined) return refuse(problem)

  const minted = call.services.world.addKey({
    kind: 'service_account',
    name: name.value,
    organization: call.key.organization,
    project: project.id,
    serviceAccount: account.id,
    scopes: scopes.value ?? [],
    expiresAt: lifetime.value === null ? null : call.landsAt + lifetime.value * 1000,
    at: call.landsAt,
  })
  audit(call, {
    type: 'api_key.created',
    resource: minted.record.id,
    project: project.id,
    scopes: scopes.value ?? [],
  })
  return json(mintedKeyView(minted))
}

const ACCESS = ['active', 'inactive', 'any']

function listProjectKeys(call: AuthenticCall): Reply {
  const project = projectOf(call)
  if ('error' in project) return refuse(project.error)
  const access = call.query.get('owner_project_access') ?? 'active'
  if (!ACCESS.includes(access))
    return refuse(
      badRequest(
        `Invalid value: '${access}'. Supported values are: 'active', 'inactive', and 'any'.`,
        'owner_project_access',
        'invalid_value',
      ),
    )
  return listReply(call, {
    all: call.services.world.keys().filter((key) => isListed(key) && key.project === project.value.id),
    isShown: (key) =>
      isListedAtEdge(key, call.edge, call.at, call.knobs) && (access === 'any' || key.ownerAccess === access),
    view: (key) => projectKeyView(key, context(call)),
  })
}

function retrieveProjectKey(call: AuthenticCall): Reply {
  const found = projectKeyOf(call)
  return 'error' in found ? refuse(found.error) : json(projectKeyView(found.value.key, context(call)))
}

function updateProjectKey(call: AuthenticCall): Reply {
  if (call.knobs.refuseKeyUpdate) return refuse(invalidUrl(call.method, call.path))
  const found = projectKeyOf(call)
  if ('error' in found) return refuse(found.error)
  const body = objectBody(call.body, ['scopes', 'expires_in_seconds'])
  if ('error' in body) return refuse(body.error)
  if (body.value['scopes'] === undefined && body.value['expires_in_seconds'] === undefined)
    return refuse(badRequest("At least one of 'scopes' and 'expires_in_seconds' must be given."))
  const scopes = scopesField(body.value)
  if ('error' in scopes) return refuse(scopes.error)
  const lifetime = lifetimeField(body.value, false)
  if ('error' in lifetime) return refuse(lifetime.error)
  const { key, project } = found.value
  const held = policyAt(key, call.at)
  const most = call.knobs.maxKeyLifetimeSeconds
  if (held.expiresAt !== null && held.expiresAt <= call.at)
    return refuse(badRequest('Expired API keys cannot be updated.'))
  if (most !== null && lifetime.value !== null && lifetime.value > most)
    return refuse(
      badRequest(
        `The organization's policy allows 'expires_in_seconds' of at most ${most}.`,
        'expires_in_seconds',
        'integer_above_max_value',
      ),
    )
  const archived = archivedError(project)
  if (archived !== undefined) return refuse(archived)

  // A repeated call counts the lifetime from its own instant, as documented.
  const expiresAt = lifetime.value === null ? held.expiresAt : call.landsAt + lifetime.value * 1000
  call.services.world.updateKey(key, { scopes: scopes.value ?? held.scopes, expiresAt }, call.landsAt)
  audit(call, {
    type: 'api_key.updated',
    resource: key.id,
    project: project.id,
    scopes: scopes.value ?? held.scopes,
  })
  return json(projectKeyView(key, { ...context(call), at: call.landsAt }))
}

function deleteProjectKey(call: AuthenticCall): Reply {
  const found = projectKeyOf(call)
  if ('error' in found) return refuse(found.error)
  const { key, project } = found.value
  if (key.kind === 'service_account' && call.knobs.refuseDeleteServiceAccountKey)
    return refuse(
      badRequest('API keys cannot be deleted for service accounts, please delete the service account'),
    )
  call.services.world.deleteKeys([key], call.landsAt)
  audit(call, { type: 'api_key.deleted', resource: key.id, project: project.id })
  return json({ object: 'organization.project.api_key.deleted' as const, id: key.id, deleted: true })
}

function projectKeyOf(call: AuthenticCall): Checked<{ key: KeyRecord; project: ProjectRecord }> {
  const project = projectOf(call)
  if ('error' in project) return project
  const id = call.parameters['key'] ?? ''
  const key = call.services.world.key(id)
  return key === undefined || !isListed(key) || key.project !== project.value.id || isGone(key, call.at)
    ? { error: notFound(`No API key with the id '${id}' was found in the project.`, 'api_key_id') }
    : { value: { key, project: project.value } }
}

/** The tokens of workload identities are no keys to administer. */
function isListed({ kind }: KeyRecord): boolean {
  return kind !== 'exchanged'
}

function listAdminKeys(call: AuthenticCall): Reply {
  const order = call.query.get('order') ?? 'asc'
  if (order !== 'asc' && order !== 'desc')
    return refuse(badRequest(`Invalid value: '${order}'. Supported values are: 'asc' and 'desc'.`, 'order'))
  const keys = call.services.world.keys().filter((key) => key.kind === 'admin' && isInOrganization(call, key))
  return listReply(call, {
    all: order === 'asc' ? keys : keys.toReversed(),
    isShown: (key) => isListedAtEdge(key, call.edge, call.at, call.knobs),
    view: (key) => adminKeyView(key, context(call)),
  })
}

function createAdminKey(call: AuthenticCall): Reply {
  const body = objectBody(call.body, ['name', 'expires_in_seconds'])
  if ('error' in body) return refuse(body.error)
  const name = nameField(body.value)
  if ('error' in name) return refuse(name.error)
  const lifetime = lifetimeField(body.value, false)
  if ('error' in lifetime) return refuse(lifetime.error)
  const minted = call.services.world.addKey({
    kind: 'admin',
    name: name.value,
    organization: call.key.organization,
    project: null,
    ...(call.key.user === null ? {} : { user: call.key.user }),
    scopes: call.knobs.mintedAdminKeyScopes,
    expiresAt: lifetime.value === null ? null : call.landsAt + lifetime.value * 1000,
    at: call.landsAt,
  })
  audit(call, { type: 'api_key.created', resource: minted.record.id, project: null, scopes: [] })
  return json(newAdminKeyView(minted, context(call)))
}

function retrieveAdminKey(call: AuthenticCall): Reply {
  const key = adminKeyOf(call)
  return 'error' in key ? refuse(key.error) : json(adminKeyView(key.value, context(call)))
}

function deleteAdminKey(call: AuthenticCall): Reply {
  const key = adminKeyOf(call)
  if ('error' in key) return refuse(key.error)
  call.services.world.deleteKeys([key.value], call.landsAt)
  audit(call, { type: 'api_key.deleted', resource: key.value.id, project: null })
  return json({ object: 'organization.admin_api_key.deleted' as const, id: key.value.id, deleted: true })
}

function adminKeyOf(call: AuthenticCall): Checked<KeyRecord> {
  const id = call.parameters['key'] ?? ''
  const key = call.services.world.key(id)
  return key === undefined || key.kind !== 'admin' || !isInOrganization(call, key) || isGone(key, call.at)
    ? { error: notFound(`No admin API key with the id '${id}' was found.`, 'key_id') }
    : { value: key }
}

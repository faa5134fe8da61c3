// Projects and their service accounts.

import {
  archivedError,
  audit,
  lifetimeError,
  listReply,
  projectOf,
  serviceAccountOf,
} from './admin-common.ts'
import { type AuthenticCall, json, type Reply, type Route, refuse } from './call.ts'
import { limits } from './defaults.ts'
import { badRequest, invalidType } from './errors.ts'
import { lifetimeField, nameField, objectBody } from './input.ts'
import { newServiceAccountView, projectView, serviceAccountView } from './views.ts'

const PROJECTS = '/organization/projects'
const PROJECT = `${PROJECTS}/:project`
const ACCOUNTS = `${PROJECT}/service_accounts`
const ACCOUNT = `${ACCOUNTS}/:account`
const read = { area: 'admin', scopes: ['api.management.read', 'api.management.write'] } as const
const write = { area: 'admin', scopes: ['api.management.write'] } as const

export const projectRoutes: readonly Route[] = [
  { ...read, method: 'GET', pattern: PROJECTS, handle: listProjects },
  { ...write, method: 'POST', pattern: PROJECTS, family: 'create', handle: createProject },
  { ...read, method: 'GET', pattern: PROJECT, handle: retrieveProject },
  { ...write, method: 'POST', pattern: PROJECT, family: 'update', handle: updateProject },
  { ...write, method: 'POST', pattern: `${PROJECT}/archive`, family: 'update', handle: archiveProject },
  { ...read, method: 'GET', pattern: ACCOUNTS, handle: listAccounts },
  { ...write, method: 'POST', pattern: ACCOUNTS, family: 'mint', handle: createAccount },
  { ...read, method: 'GET', pattern: ACCOUNT, handle: retrieveAccount },
  { ...write, method: 'POST', pattern: ACCOUNT, family: 'update', handle: updateAccount },
  { ...write, method: 'DELETE', pattern: ACCOUNT, family: 'delete', handle: deleteAccount },
]

function listProjects(call: AuthenticCall): Reply {
  const wantsArchived = call.query.get('include_archived') === 'true'
  return listReply(call, {
    all: call.services.world.projectsOf(call.key.organization),
    isShown: (project) => wantsArchived || project.archivedAt === null,
    view: projectView,
  })
}

function createProject(call: AuthenticCall): Reply {
  const body = objectBody(call.body, ['name', 'external_key_id', 'residency', 'geography'])
  if ('error' in body) return refuse(body.error)
  const name = nameField(body.value)
  if ('error' in name) return refuse(name.error)
  const { world } = call.services
  if (world.projectsOf(call.key.organization).length >= limits.projectsMax)
    return refuse(badRequest(`The organization has reached its limit of ${limits.projectsMax} projects.`))
  const key = body.value['external_key_id']
  const project = world.addProject(call.key.organization, name.value, typeof key === 'string' ? key : null)
  audit(call, { type: 'project.created', resource: project.id, project: project.id })
  return json(projectView(project))
}

function retrieveProject(call: AuthenticCall): Reply {
  const project = projectOf(call)
  return 'error' in project ? refuse(project.error) : json(projectView(project.value))
}

function updateProject(call: AuthenticCall): Reply {
  const project = projectOf(call)
  if ('error' in project) return refuse(project.error)
  const archived = archivedError(project.value)
  if (archived !== undefined) return refuse(archived)
  const body = objectBody(call.body, ['name', 'external_key_id', 'geography'])
  if ('error' in body) return refuse(body.error)
  const name = nameField(body.value, project.value.name)
  if ('error' in name) return refuse(name.error)
  project.value.name = name.value
  audit(call, { type: 'project.updated', resource: project.value.id, project: project.value.id })
  return json(projectView(project.value))
}

function archiveProject(call: AuthenticCall): Reply {
  const project = projectOf(call)
  if ('error' in project) return refuse(project.error)
  if (project.value.isDefault) return refuse(badRequest('The Default project cannot be archived.'))
  project.value.archivedAt ??= call.landsAt
  audit(call, { type: 'project.archived', resource: project.value.id, project: project.value.id })
  return json(projectView(project.value))
}

function listAccounts(call: AuthenticCall): Reply {
  const project = projectOf(call)
  if ('error' in project) return refuse(project.error)
  return listReply(call, {
    all: call.services.world.serviceAccountsOf(project.value.id),
    isShown: () => true,
    view: serviceAccountView,
  })
}

function createAccount(call: AuthenticCall): Reply {
  const project = projectOf(call)
  if ('error' in project) return refuse(project.error)
  const body = objectBody(call.body, ['name', 'create_service_account_only', 'expires_in_seconds'])
  if ('error' in body) return refuse(body.error)
  const name = nameField(body.value)
  if ('error' in name) return refuse(name.error)
  const lifetime = lifetimeField(body.value, true)
  if ('error' in lifetime) return refuse(lifetime.error)
  const only = body.value['create_service_account_only'] ?? false
  if (typeof only !== 'boolean') return refuse(invalidType('create_service_account_only', 'a boolean', only))
  if (only && lifetime.value !== null)
    return refuse(
      badRequest(
        "'expires_in_seconds' must be null when 'create_service_account_only' is true.",
        'expires_in_seconds',
        'invalid_value',
      ),
    )
  const problem =
    archivedError(project.value) ??
    newAccountProblem(call, project.value.id, name.value) ??
    (only ? undefined : lifetimeError(call, lifetime.value))
  if (problem !== undefined) return refuse(problem)

  const { world } = call.services
  const account = world.addServiceAccount({
    project: project.value.id,
    name: name.value,
    role: only ? 'none' : 'member',
    at: call.landsAt,
  })
  audit(call, { type: 'service_account.created', resource: account.id, project: project.value.id })
  if (only) return json(newServiceAccountView(account, undefined))
  const minted = world.addKey({
    kind: 'service_account',
    name: 'Secret Key',
    organization: call.key.organization,
    project: project.value.id,
    serviceAccount: account.id,
    expiresAt: lifetime.value === null ? null : call.landsAt + lifetime.value * 1000,
    at: call.landsAt,
  })
  audit(call, { type: 'api_key.created', resource: minted.record.id, project: project.value.id, scopes: [] })
  return json(newServiceAccountView(account, minted))
}

function newAccountProblem(call: AuthenticCall, project: string, name: string) {
  const { world } = call.services
  const siblings = world.serviceAccountsOf(project)
  if (world.project(project)?.isDefault === true)
    return badRequest('Service accounts cannot be added to the Default project.')
  // Reported by another product's source, not documented (see the reference of November 2026).
  if (siblings.some((account) => account.name === name))
    return badRequest('A service account with this name already exists in the project.', 'name')
  if (siblings.length >= limits.serviceAccountsMax)
    return badRequest(`The project has reached its limit of ${limits.serviceAccountsMax} service accounts.`)
  return undefined
}

function retrieveAccount(call: AuthenticCall): Reply {
  const found = serviceAccountOf(call)
  return 'error' in found ? refuse(found.error) : json(serviceAccountView(found.value.account))
}

function updateAccount(call: AuthenticCall): Reply {
  const found = serviceAccountOf(call)
  if ('error' in found) return refuse(found.error)
  const { account, project } = found.value
  const body = objectBody(call.body, ['name', 'role'])
  if ('error' in body) return refuse(body.error)
  const name = nameField(body.value, account.name)
  if ('error' in name) return refuse(name.error)
  const wanted = body.value['role'] ?? account.role
  const role = (['member', 'owner', account.role] as const).find((allowed) => allowed === wanted)
  if (role === undefined)
    return refuse(
      badRequest("Invalid value for 'role': expected 'member' or 'owner'.", 'role', 'invalid_value'),
    )
  const isTaken = call.services.world
    .serviceAccountsOf(project.id)
    .some((entry) => entry.name === name.value && entry.id !== account.id)
  const problem =
    archivedError(project) ??
    (isTaken
      ? badRequest('A service account with this name already exists in the project.', 'name')
      : undefined)
  if (problem !== undefined) return refuse(problem)
  account.name = name.value
  account.role = role
  audit(call, { type: 'service_account.updated', resource: account.id, project: project.id })
  return json(serviceAccountView(account))
}

/** The keys of the account die with it, as every integration that rotates keys today relies on. */
function deleteAccount(call: AuthenticCall): Reply {
  const found = serviceAccountOf(call)
  if ('error' in found) return refuse(found.error)
  const { account, project } = found.value
  call.services.world.deleteServiceAccount(account, call.landsAt)
  audit(call, { type: 'service_account.deleted', resource: account.id, project: project.id })
  return json({
    object: 'organization.project.service_account.deleted' as const,
    id: account.id,
    deleted: true,
  })
}

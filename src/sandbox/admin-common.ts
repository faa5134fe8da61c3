// What the administration routes share: finding things inside the caller's organisation, lists, policies, audit.

import { type AuthenticCall, json, type Reply, refuse } from './call.ts'
import { type ApiError, badRequest, notFound } from './errors.ts'
import { type Checked, cutPage, pageOf } from './input.ts'
import type { KeyRecord, ProjectRecord, ServiceAccountRecord } from './records.ts'
import type { ViewContext } from './views.ts'

export function context(call: AuthenticCall): ViewContext {
  return { world: call.services.world, knobs: call.knobs, edge: call.edge, at: call.at }
}

/** The project of the path, when the caller's organisation has it. */
export function projectOf(call: AuthenticCall): Checked<ProjectRecord> {
  const id = call.parameters['project'] ?? ''
  const project = call.services.world.project(id)
  return project === undefined || project.organization !== call.key.organization
    ? { error: notFound(`No project with the id '${id}' was found in your organization.`, 'project_id') }
    : { value: project }
}

export function serviceAccountOf(
  call: AuthenticCall,
): Checked<{ project: ProjectRecord; account: ServiceAccountRecord }> {
  const project = projectOf(call)
  if ('error' in project) return project
  const id = call.parameters['account'] ?? ''
  const account = call.services.world.serviceAccount(id)
  return account === undefined || account.project !== project.value.id
    ? {
        error: notFound(
          `No service account with the id '${id}' was found in the project.`,
          'service_account_id',
        ),
      }
    : { value: { project: project.value, account } }
}

export function listReply<T extends { id: string }>(
  call: AuthenticCall,
  list: { all: readonly T[]; isShown: (entry: T) => boolean; view: (entry: T) => unknown; limit?: number },
): Reply {
  const page = pageOf(call.query, list.limit)
  if ('error' in page) return refuse(page.error)
  const cut = cutPage({ ...list, page: page.value })
  return 'error' in cut ? refuse(cut.error) : json(cut.value)
}

/** The wording follows the example of the published specification of August 2026. */
export function archivedError(project: ProjectRecord): ApiError | undefined {
  return project.archivedAt === null ? undefined : badRequest(`Project ${project.name} is archived`)
}

/** ASSUMPTION: no source shows what a policy's refusal looks like; the rules themselves are documented. */
export function lifetimeError(call: AuthenticCall, lifetimeSeconds: number | null): ApiError | undefined {
  const most = call.knobs.maxKeyLifetimeSeconds
  const name = 'expires_in_seconds'
  if (call.knobs.refuseNewKeys)
    return badRequest(
      "The organization's policy does not allow new API keys.",
      null,
      'api_key_creation_disabled',
    )
  if (most === null) return undefined
  if (lifetimeSeconds === null)
    return badRequest(`The organization's policy requires '${name}'.`, name, 'missing_required_parameter')
  return lifetimeSeconds > most
    ? badRequest(
        `The organization's policy allows '${name}' of at most ${most}.`,
        name,
        'integer_above_max_value',
      )
    : undefined
}

export function audit(
  call: AuthenticCall,
  event: { type: string; resource: string; project: string | null; scopes?: readonly string[] },
): void {
  const { type, resource, project, scopes } = event
  const detail = type.endsWith('.updated') ? 'changes_requested' : 'data'
  call.services.world.noteAudit({
    at: call.landsAt,
    type,
    organization: call.key.organization,
    project,
    actorKey: call.key.id,
    resource,
    details: scopes === undefined ? { id: resource } : { id: resource, [detail]: { scopes: [...scopes] } },
  })
}

export function isInOrganization(call: AuthenticCall, key: KeyRecord): boolean {
  return key.organization === call.key.organization
}

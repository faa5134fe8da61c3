// The wire form of every entity. The return types are held against those of the official SDK in
// test/sandbox/types.test.ts.

import { lastUseAtEdge } from './edges.ts'
import type { Knobs } from './knobs.ts'
import type { KeyRecord, ProjectRecord, ServiceAccountRecord, UserRecord } from './records.ts'
import { policyAt, type World } from './world.ts'

export interface ViewContext {
  readonly world: World
  readonly knobs: Knobs
  readonly edge: number
  readonly at: number
}

export const seconds = (ms: number): number => Math.floor(ms / 1000)
export const secondsOrNull = (ms: number | null): number | null => (ms === null ? null : seconds(ms))

export function projectView(project: ProjectRecord) {
  return {
    object: 'organization.project' as const,
    id: project.id,
    name: project.name,
    created_at: seconds(project.createdAt),
    archived_at: secondsOrNull(project.archivedAt),
    status: project.archivedAt === null ? 'active' : 'archived',
    external_key_id: project.externalKeyId,
  }
}

export function serviceAccountView(account: ServiceAccountRecord) {
  return {
    object: 'organization.project.service_account' as const,
    id: account.id,
    name: account.name,
    role: account.role,
    created_at: seconds(account.createdAt),
  }
}

/** A new account. The key is absent for one that was made without. */
export function newServiceAccountView(
  account: ServiceAccountRecord,
  minted: { record: KeyRecord; value: string } | undefined,
) {
  return {
    object: 'organization.project.service_account' as const,
    id: account.id,
    name: account.name,
    role: minted === undefined ? ('none' as const) : ('member' as const),
    created_at: seconds(account.createdAt),
    api_key: minted === undefined ? null : mintedKeyView(minted),
  }
}

/** The only answer that holds a project key's value. */
export function mintedKeyView({ record, value }: { record: KeyRecord; value: string }) {
  return {
    object: 'organization.project.service_account.api_key' as const,
    id: record.id,
    name: record.name,
    value,
    created_at: seconds(record.createdAt),
    expires_at: secondsOrNull(policyAt(record, record.createdAt).expiresAt),
  }
}

export function projectKeyView(key: KeyRecord, context: ViewContext) {
  return {
    object: 'organization.project.api_key' as const,
    id: key.id,
    name: key.name,
    redacted_value: key.redacted,
    created_at: seconds(key.createdAt),
    last_used_at: secondsOrNull(lastUseAtEdge(key, context.edge, context.at, context.knobs)),
    expires_at: secondsOrNull(policyAt(key, context.at).expiresAt),
    owner_project_access: key.ownerAccess,
    owner: ownerView(key, context.world),
  }
}

export function adminKeyView(key: KeyRecord, context: ViewContext) {
  const user = key.user === null ? undefined : context.world.user(key.user)
  return {
    object: 'organization.admin_api_key' as const,
    id: key.id,
    name: key.name,
    redacted_value: key.redacted,
    created_at: seconds(key.createdAt),
    expires_at: secondsOrNull(policyAt(key, context.at).expiresAt),
    last_used_at: secondsOrNull(lastUseAtEdge(key, context.edge, context.at, context.knobs)),
    owner: {
      type: 'user',
      object: 'organization.user',
      ...(user === undefined
        ? {}
        : { id: user.id, name: user.name, created_at: seconds(user.createdAt), role: user.role }),
    },
  }
}

export function newAdminKeyView(minted: { record: KeyRecord; value: string }, context: ViewContext) {
  return { ...adminKeyView(minted.record, context), value: minted.value }
}

function ownerView(key: KeyRecord, world: World) {
  const account =
    key.serviceAccount === null
      ? undefined
      : world.data.serviceAccounts.find((entry) => entry.id === key.serviceAccount)
  if (account !== undefined)
    return {
      type: 'service_account' as const,
      service_account: {
        id: account.id,
        name: account.name,
        role: account.role as string,
        created_at: seconds(account.createdAt),
      },
    }
  const user = key.user === null ? undefined : world.user(key.user)
  return user === undefined ? { type: 'user' as const } : { type: 'user' as const, user: userView(user) }
}

function userView(user: UserRecord) {
  return {
    id: user.id,
    email: user.email,
    name: user.name,
    role: user.role,
    created_at: seconds(user.createdAt),
  }
}

// How records come into being, and the world that a fresh sandbox begins with.

import type {
  AccountRole,
  KeyKind,
  KeyRecord,
  OrganizationRecord,
  ProjectRecord,
  ServiceAccountRecord,
  UserRecord,
  WorldData,
} from './records.ts'
import { hashKey, makeId, type RandomBytes, redactForList } from './secrets.ts'

export interface NewKey {
  readonly kind: KeyKind
  readonly name: string
  readonly organization: string
  readonly project: string | null
  readonly serviceAccount?: string
  readonly user?: string
  readonly ownerAccess?: 'active' | 'inactive'
  readonly scopes?: readonly string[]
  readonly expiresAt?: number | null
  readonly settled?: boolean
  /** When the write lands. Default: now. */
  readonly at?: number
}

export function newKey(input: NewKey, value: string, at: number, random: RandomBytes): KeyRecord {
  return {
    id: makeId('key_', random),
    kind: input.kind,
    name: input.name,
    organization: input.organization,
    project: input.project,
    serviceAccount: input.serviceAccount ?? null,
    user: input.user ?? null,
    ownerAccess: input.ownerAccess ?? 'active',
    hash: hashKey(value),
    redacted: redactForList(value),
    createdAt: at,
    settled: input.settled ?? false,
    deletedAt: null,
    policies: [{ at, scopes: [...(input.scopes ?? [])], expiresAt: input.expiresAt ?? null }],
    uses: [],
  }
}

export function newProject(input: {
  organization: string
  name: string
  isDefault: boolean
  at: number
  random: RandomBytes
}): ProjectRecord {
  const { organization, name, isDefault, at, random } = input
  const id = makeId('proj_', random)
  return { id, organization, name, isDefault, createdAt: at, archivedAt: null, externalKeyId: null }
}

export function newServiceAccount(input: {
  project: string
  name: string
  role?: AccountRole
  at: number
  random: RandomBytes
}): ServiceAccountRecord {
  const { project, name, at, random } = input
  const id = makeId('svc_acct_', random)
  return { id, project, name, role: input.role ?? 'member', createdAt: at, deletedAt: null }
}

export function newOrganization(name: string, at: number, random: RandomBytes) {
  const organization: OrganizationRecord = { id: makeId('org-', random), name, createdAt: at }
  const user: UserRecord = {
    id: makeId('user-', random),
    organization: organization.id,
    name: 'Sandbox Owner',
    email: 'owner@sandbox.invalid',
    role: 'owner',
    createdAt: at,
  }
  const defaultProject = newProject({
    organization: organization.id,
    name: 'Default project',
    isDefault: true,
    at,
    random,
  })
  return { organization, user, defaultProject }
}

/** Two organisations; the caller's has a Default project, a second one and two service accounts. */
export function foundWorld(at: number, random: RandomBytes): WorldData {
  const home = newOrganization('Sandbox', at, random)
  const project = newProject({
    organization: home.organization.id,
    name: 'Keyturn sandbox',
    isDefault: false,
    at,
    random,
  })
  const account = newServiceAccount({ project: project.id, name: 'app', at, random })
  const second = newServiceAccount({ project: project.id, name: 'batch', at, random })
  const other = newOrganization('Someone else', at, random)
  const otherProject = newProject({
    organization: other.organization.id,
    name: 'Elsewhere',
    isDefault: false,
    at,
    random,
  })
  const otherAccount = newServiceAccount({ project: otherProject.id, name: 'app', at, random })
  return {
    format: 1,
    savedAt: at,
    home: {
      organization: home.organization.id,
      project: project.id,
      serviceAccount: account.id,
      defaultProject: home.defaultProject.id,
    },
    other: {
      organization: other.organization.id,
      project: otherProject.id,
      serviceAccount: otherAccount.id,
    },
    organizations: [home.organization, other.organization],
    projects: [
      home.defaultProject,
      project,
      newProject({
        organization: home.organization.id,
        name: 'Second project',
        isDefault: false,
        at,
        random,
      }),
      other.defaultProject,
      otherProject,
    ],
    serviceAccounts: [account, second, otherAccount],
    users: [home.user, other.user],
    keys: [],
    audit: [],
  }
}

// What exists at the source of truth, and how it is changed. Every mutation is on disk before it is answered.

import { limits } from './defaults.ts'
import type {
  AccountRole,
  AuditRecord,
  KeyKind,
  KeyPolicy,
  KeyRecord,
  OrganizationRecord,
  ProjectRecord,
  ServiceAccountRecord,
  UserRecord,
  WorldData,
} from './records.ts'
import { hashKey, makeId, makeKeyValue, type RandomBytes, redactForList } from './secrets.ts'
import { readState, writeState } from './state-file.ts'

export interface WorldOptions {
  readonly now: () => number
  readonly random: RandomBytes
  readonly stateFile: string | undefined
}

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

export type World = ReturnType<typeof openWorld>

export function openWorld(options: WorldOptions) {
  const { now, random, stateFile } = options
  const data = (stateFile === undefined ? undefined : readState(stateFile)) ?? foundWorld(now(), random)
  const byHash = new Map(data.keys.map((key) => [key.hash, key]))

  let batches = 0
  const save = () => {
    if (stateFile !== undefined && batches === 0) writeState(stateFile, data)
  }
  const exists = (record: { createdAt: number }) => record.createdAt <= now()

  const world = {
    data,
    save,
    /** Runs several mutations with one write to disk at their end. */
    batch: <T>(run: () => T): T => {
      batches += 1
      try {
        return run()
      } finally {
        batches -= 1
      }
    },
    newId: (prefix: string) => makeId(prefix, random),

    organization: (id: string) => data.organizations.find((entry) => entry.id === id),
    project: (id: string) => data.projects.find((entry) => entry.id === id && exists(entry)),
    projectsOf: (organization: string) =>
      data.projects.filter((entry) => entry.organization === organization && exists(entry)),
    serviceAccount: (id: string) =>
      data.serviceAccounts.find((entry) => entry.id === id && exists(entry) && !isGone(entry, now())),
    serviceAccountsOf: (project: string) =>
      data.serviceAccounts.filter(
        (entry) => entry.project === project && exists(entry) && !isGone(entry, now()),
      ),
    user: (id: string) => data.users.find((entry) => entry.id === id),
    keyByHash: (hash: string) => byHash.get(hash),
    keyByValue: (value: string) => byHash.get(hashKey(value)),
    key: (id: string) => data.keys.find((entry) => entry.id === id && exists(entry)),
    keys: () => data.keys.filter(exists),

    addOrganization: (name: string): OrganizationRecord => {
      const record = newOrganization(name, now(), random)
      data.organizations.push(record.organization)
      data.users.push(record.user)
      data.projects.push(record.defaultProject)
      save()
      return record.organization
    },
    addProject: (organization: string, name: string, externalKeyId: string | null = null): ProjectRecord => {
      const record = newProject({ organization, name, isDefault: false, at: now(), random })
      record.externalKeyId = externalKeyId
      data.projects.push(record)
      save()
      return record
    },
    addServiceAccount: (input: {
      project: string
      name: string
      role?: AccountRole
      at?: number
    }): ServiceAccountRecord => {
      const record = newServiceAccount({ ...input, at: input.at ?? now(), random })
      data.serviceAccounts.push(record)
      save()
      return record
    },
    addKey: (input: NewKey): { record: KeyRecord; value: string } => {
      makeRoom(data, byHash, now())
      const value = makeKeyValue(input.kind, random)
      const record = newKey(input, value, input.at ?? now(), random)
      if (byHash.has(record.hash))
        throw new Error('The random source of the sandbox repeats itself; give it one that does not.')
      data.keys.push(record)
      byHash.set(record.hash, record)
      save()
      return { record, value }
    },
    updateKey: (key: KeyRecord, policy: Omit<KeyPolicy, 'at'>, at: number) => {
      key.policies = [...key.policies, { ...policy, at }].slice(-limits.policiesPerKeyMax)
      save()
    },
    deleteKeys: (keys: readonly KeyRecord[], at: number) => {
      for (const key of keys) key.deletedAt ??= at
      save()
    },
    deleteServiceAccount: (account: ServiceAccountRecord, at: number) => {
      account.deletedAt ??= at
      world.deleteKeys(
        data.keys.filter((key) => key.serviceAccount === account.id),
        at,
      )
    },
    noteUse: (key: KeyRecord, at: number) => {
      key.uses = withUse(key.uses, at)
    },
    noteAudit: (entry: Omit<AuditRecord, 'id'>) => {
      data.audit.push({ ...entry, id: makeId('audit_log-', random) })
      data.audit.splice(0, Math.max(0, data.audit.length - limits.auditLogMax))
      save()
    },
  }
  save()
  return world
}

export function isGone(record: { deletedAt: number | null }, at: number): boolean {
  return record.deletedAt !== null && record.deletedAt <= at
}

/** The newest policy that has landed by `at`. */
export function policyAt(key: KeyRecord, at: number): KeyPolicy {
  const landed = key.policies.filter((policy) => policy.at <= at)
  const policy = landed.at(-1) ?? key.policies[0]
  if (policy === undefined) throw new Error(`Key ${key.id} has no policy.`)
  return policy
}

/** Alive, deleted or expired at the source of truth, whatever the edges still believe. */
export function keyState(key: KeyRecord, at: number): 'alive' | 'deleted' | 'expired' {
  if (isGone(key, at)) return 'deleted'
  const { expiresAt } = policyAt(key, at)
  return expiresAt !== null && expiresAt <= at ? 'expired' : 'alive'
}

/** Halving the older entries keeps the newest use exact and old ones near enough, in bounded space. */
function withUse(uses: number[], at: number): number[] {
  const last = uses.at(-1)
  if (last !== undefined && last >= at) return uses
  const next = [...uses, at]
  return next.length <= limits.usesPerKeyMax ? next : next.filter((_, index) => index % 2 === 1)
}

/** Forgets keys that died longest ago; living ones are never forgotten. */
function makeRoom(data: WorldData, byHash: Map<string, KeyRecord>, at: number): void {
  if (data.keys.length < limits.keysMax) return
  const index = data.keys.findIndex((key) => keyState(key, at) !== 'alive')
  if (index < 0) throw new Error(`The sandbox holds ${limits.keysMax} living keys and takes no more.`)
  for (const key of data.keys.splice(index, 1)) byHash.delete(key.hash)
}

function newKey(input: NewKey, value: string, at: number, random: RandomBytes): KeyRecord {
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

function newProject(input: {
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

function newServiceAccount(input: {
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

function newOrganization(name: string, at: number, random: RandomBytes) {
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
function foundWorld(at: number, random: RandomBytes): WorldData {
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

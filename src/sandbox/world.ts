// What exists at the source of truth, and how it is changed. Every mutation is on disk before it is answered.

import { limits } from './defaults.ts'
import {
  foundWorld,
  type NewKey,
  newKey,
  newOrganization,
  newProject,
  newServiceAccount,
} from './new-records.ts'
import type {
  AccountRole,
  AuditRecord,
  IdentityProviderRecord,
  KeyPolicy,
  KeyRecord,
  OrganizationRecord,
  ProjectRecord,
  ServiceAccountRecord,
  WorldData,
} from './records.ts'
import { hashKey, makeId, makeKeyValue, type RandomBytes } from './secrets.ts'
import { readState, writeState } from './state-file.ts'

export interface WorldOptions {
  readonly now: () => number
  readonly random: RandomBytes
  readonly stateFile: string | undefined
}

export type World = ReturnType<typeof openWorld>

export function openWorld(options: WorldOptions) {
  const { random, stateFile } = options
  const stored = stateFile === undefined ? undefined : readState(stateFile)
  const now = steadyClock(options.now, stored?.savedAt ?? 0)
  const data = stored ?? foundWorld(now(), random)
  const byHash = new Map(data.keys.map((key) => [key.hash, key]))
  let batches = 0
  const save = () => {
    if (batches > 0) return
    data.savedAt = now()
    if (stateFile !== undefined) writeState(stateFile, data)
  }
  return {
    data,
    /** The clock of the sandbox: the given one, but never backwards, as it stands for OpenAI's and not for ours. */
    now,
    save,
    newId: (prefix: string) => makeId(prefix, random),
    /** Runs several mutations with one write to disk at their end. */
    batch: <T>(run: () => T): T => {
      batches += 1
      try {
        return run()
      } finally {
        batches -= 1
        save()
      }
    },
    ...lookUps(data, now, byHash),
    ...additions({ data, now, random, save, byHash }),
    ...changes({ data, random, save }),
  }
}

function steadyClock(now: () => number, floor: number): () => number {
  let latest = floor
  return () => {
    latest = Math.max(latest, now())
    return latest
  }
}

function lookUps(data: WorldData, now: () => number, byHash: ReadonlyMap<string, KeyRecord>) {
  const exists = (record: { createdAt: number }) => record.createdAt <= now()
  const isThere = (account: ServiceAccountRecord) => exists(account) && !isGone(account, now())
  return {
    keyByValue: (value: string) => byHash.get(hashKey(value)),
    organization: (id: string) => data.organizations.find((entry) => entry.id === id),
    user: (id: string) => data.users.find((entry) => entry.id === id),
    project: (id: string) => data.projects.find((entry) => entry.id === id),
    projectsOf: (organization: string) =>
      data.projects.filter((entry) => entry.organization === organization),
    serviceAccount: (id: string) => data.serviceAccounts.find((entry) => entry.id === id && isThere(entry)),
    serviceAccountsOf: (project: string) =>
      data.serviceAccounts.filter((entry) => entry.project === project && isThere(entry)),
    identityProvider: (id: string) => data.identityProviders?.find((entry) => entry.id === id),
    key: (id: string) => data.keys.find((entry) => entry.id === id && exists(entry)),
    keys: () => data.keys.filter(exists),
  }
}

interface Parts {
  readonly data: WorldData
  readonly random: RandomBytes
  readonly save: () => void
}

function additions(parts: Parts & { now: () => number; byHash: Map<string, KeyRecord> }) {
  const { data, now, random, save, byHash } = parts
  return {
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
    addIdentityProvider: (
      input: Omit<IdentityProviderRecord, 'id' | 'mappings' | 'createdAt'>,
    ): IdentityProviderRecord => {
      const record = { ...input, id: makeId('idp_', random), mappings: [], createdAt: now() }
      data.identityProviders = [...(data.identityProviders ?? []), record]
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
  }
}

function changes({ data, random, save }: Parts) {
  const deleteKeys = (keys: readonly KeyRecord[], at: number) => {
    for (const key of keys) key.deletedAt = earlier(key.deletedAt, at)
    save()
  }
  return {
    deleteKeys,
    /** Its keys die with it. */
    deleteServiceAccount: (account: ServiceAccountRecord, at: number) => {
      account.deletedAt = earlier(account.deletedAt, at)
      deleteKeys(
        data.keys.filter((key) => key.serviceAccount === account.id),
        at,
      )
    },
    updateKey: (key: KeyRecord, policy: Omit<KeyPolicy, 'at'>, at: number) => {
      key.policies = [...key.policies, { ...policy, at }].slice(-limits.policiesPerKeyMax)
      save()
    },
    changeMappings: (
      provider: IdentityProviderRecord,
      change: (mappings: IdentityProviderRecord['mappings']) => IdentityProviderRecord['mappings'],
    ) => {
      provider.mappings = change(provider.mappings)
      save()
    },
    /** Not written at once: uses reach the disk with the next mutation or at the close. */
    noteUse: (key: KeyRecord, at: number) => {
      key.uses = withUse(key.uses, at)
    },
    noteAudit: (entry: Omit<AuditRecord, 'id'>) => {
      data.audit.push({ ...entry, id: makeId('audit_log-', random) })
      data.audit.splice(0, Math.max(0, data.audit.length - limits.auditLogMax))
      save()
    },
  }
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

/** A deletion that lands late does not delay one that lands now. */
function earlier(known: number | null, at: number): number {
  return known === null ? at : Math.min(known, at)
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

import type { SecretStore, StoreCapabilities } from '../core/ports.ts'
import type { Secret } from '../core/secret.ts'
import type { VersionId, VersionMeta } from '../core/types.ts'
import { assertVersionId, type StoreContext } from './context.ts'
import {
  annotateOn,
  describeShelf,
  destroyOn,
  emptyShelf,
  find,
  otherSecretError,
  promoteOn,
  retireOn,
  type Shelf,
  stageOn,
} from './shelf.ts'
import { assertStorable } from './values.ts'

export interface MemoryStoreOptions {
  /** What is current at the start, by ref. */
  readonly initial?: Readonly<Record<string, MemoryInitial>>
  /** Give the same one to several stores and they are several clients of one store. Default: one of its own. */
  readonly content?: MemoryContent
}

export interface MemoryInitial {
  readonly version: VersionId
  readonly secret: Secret
  readonly meta?: VersionMeta
}

export type MemoryContent = Map<string, MemoryRecord>
interface MemoryRecord {
  readonly shelf: Shelf
  readonly values: ReadonlyMap<VersionId, Secret>
}

const capabilities: StoreCapabilities = {
  kind: 'memory',
  writable: true,
  staging: 'native',
  cas: 'native',
  destroy: 'version',
  propagationMs: 0,
}

/**
 * Forgets everything with the process: for tests, simulators and rehearsals. `ref` is any text.
 * Error codes: `bad_request`, `store_absent`, `store_conflict`, `store_too_large`.
 */
export function openMemoryStore(
  options: MemoryStoreOptions,
  context: Pick<StoreContext, 'system'>,
): SecretStore {
  const content: MemoryContent = options.content ?? new Map<string, MemoryRecord>()
  const listeners = new Map<string, Set<() => void>>()
  for (const [ref, initial] of Object.entries(options.initial ?? {}))
    if (!content.has(ref)) content.set(ref, initialRecord(initial, context.system.now()))

  const recordOf = (ref: string): MemoryRecord => content.get(ref) ?? { shelf: emptyShelf, values: new Map() }
  const keep = (ref: string, record: MemoryRecord): void => {
    content.set(ref, record)
    for (const tell of listeners.get(ref) ?? []) tell()
  }

  return {
    capabilities,
    async read(ref, readOptions) {
      const { shelf, values } = recordOf(ref)
      const version = readOptions?.version ?? shelf.current
      if (version === undefined) return undefined
      const entry = find(shelf, version)
      const secret = values.get(version)
      if (entry === undefined || secret === undefined) return undefined
      return { version, secret, meta: entry.meta }
    },
    async describe(ref) {
      const record = content.get(ref)
      return record === undefined ? undefined : describeShelf(record.shelf)
    },
    async stage(ref, { version, secret, meta, fence }) {
      assertVersionId(version)
      assertStorable(ref, secret)
      const { shelf, values } = recordOf(ref)
      const result = stageOn(ref, shelf, { version, meta, fence, at: context.system.now() })
      if (result.kind === 'exists') {
        if (values.get(version)?.equals(secret) !== true) throw otherSecretError(ref, version)
        return
      }
      const kept = new Map(values).set(version, secret)
      for (const dropped of result.dropped) kept.delete(dropped)
      keep(ref, { shelf: result.shelf, values: kept })
    },
    async promote(ref, request) {
      const { shelf, values } = recordOf(ref)
      const result = promoteOn(ref, shelf, request)
      if (result.shelf !== undefined) keep(ref, { shelf: result.shelf, values })
      return result.outcome
    },
    async retire(ref, request) {
      const { shelf, values } = recordOf(ref)
      const changed = retireOn(ref, shelf, request)
      if (changed !== undefined) keep(ref, { shelf: changed, values })
    },
    async destroy(ref, version) {
      const { shelf, values } = recordOf(ref)
      const changed = destroyOn(ref, shelf, version)
      if (changed === undefined) return 'destroyed'
      const kept = new Map(values)
      kept.delete(version)
      keep(ref, { shelf: changed, values: kept })
      return 'destroyed'
    },
    async annotate(ref, version, meta) {
      const { shelf, values } = recordOf(ref)
      keep(ref, { shelf: annotateOn(ref, shelf, version, meta), values })
    },
    async check(ref) {
      return [
        { permission: 'read', resource: ref, state: 'granted' },
        { permission: 'write', resource: ref, state: 'granted' },
      ]
    },
    watch(ref, onChange) {
      const told = listeners.get(ref) ?? new Set()
      listeners.set(ref, told.add(onChange))
      return () => void told.delete(onChange)
    },
    async close() {
      listeners.clear()
    },
  }
}

function initialRecord({ version, secret, meta = {} }: MemoryInitial, at: number): MemoryRecord {
  return {
    shelf: { fence: 0, current: version, versions: [{ version, stagedAt: at, isRetired: false, meta }] },
    values: new Map([[version, secret]]),
  }
}

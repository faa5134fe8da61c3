import { KeyturnError } from '../core/errors.ts'
import { Secret } from '../core/secret.ts'
import { type StoreContext, warn } from './context.ts'
import { withoutFileMarks } from './plain-text.ts'
import type { DocumentPair } from './slot-pair.ts'
import type { MainDocument } from './slot-state.ts'
import type { KvRead, VaultCalls } from './vault-calls.ts'
import type { VaultPlace } from './vault-options.ts'
import { withoutFieldError } from './without-field.ts'

export interface VaultDocument extends MainDocument {
  readonly version: number
  readonly data: Readonly<Record<string, unknown>>
}

export const slotSuffix = '__keyturn'
/** Former versions that are looked through for a destroyed key; Vault keeps 10 unless told otherwise. */
const historyMax = 30
/** Former versions of the sibling that one destruction takes away; each turn destroys, and makes fewer than ten. */
const destroyedMax = 100

type Documents = Pick<
  DocumentPair<VaultDocument>,
  | 'readMain'
  | 'writeMain'
  | 'touchMain'
  | 'readSlot'
  | 'writeSlot'
  | 'nameOfSlot'
  | 'forgetInMain'
  | 'forgetInSlot'
>

/** A secret and its sibling as two documents of one KV engine, written under their version numbers. */
export function vaultDocuments(calls: VaultCalls, place: VaultPlace, context: StoreContext): Documents {
  const { field } = place
  const fresh = freshReader(calls, context)
  const warned = new Set<string>()

  const write = async (
    ref: string,
    cas: number,
    data: Readonly<Record<string, unknown>>,
  ): Promise<number | undefined> => {
    const version = await calls.write(ref, cas, data)
    if (version !== undefined) fresh.wrote(ref, version)
    return version
  }
  const warnOfDeletion = (ref: string, read: KvRead): void => {
    if (read.kind !== 'found' || read.deletionAt === undefined || warned.has(ref)) return
    if (warned.size >= warnedMax) warned.clear()
    warned.add(ref)
    const at = new Date(read.deletionAt).toISOString()
    warn(
      context,
      `Vault will delete ${ref} at ${at} by itself (delete_version_after): apps lose their key then.`,
      {
        ref,
        at,
      },
    )
  }

  const withoutField = (ref: string, fields: readonly string[]): KeyturnError => {
    const inside = place.namespace === undefined ? '' : ` -namespace=${place.namespace}`
    const begin = `vault kv patch${inside} -mount=${place.mount} ${ref} ${field}=""`
    return withoutFieldError(calls.pathOf(ref, 'data'), { field, fields, begin })
  }

  return {
    async readMain(ref) {
      const read = await fresh.read(ref)
      warnOfDeletion(ref, read)
      if (read.kind === 'deleted') throw deletedError(calls.pathOf(ref, 'data'), read.version)
      // What is destroyed is gone for good: an absence that Vault itself tells of.
      if (read.kind !== 'found') return documentOf(read.kind === 'absent' ? 0 : read.version, {})
      const document = documentOf(read.version, read.data, keyIn(read.data, field, calls.pathOf(ref, 'data')))
      const fields = Object.keys(read.data)
      if (fields.length === 0 || fields.includes(field)) return document
      return { ...document, withoutField: withoutField(ref, fields) }
    },
    async writeMain(ref, main, { secret }) {
      return (await write(ref, main.version, { ...main.data, [field]: secret.reveal() })) !== undefined
    },
    async touchMain(ref, main) {
      return (await write(ref, main.version, main.data)) !== undefined
    },
    async readSlot(ref) {
      const read = await fresh.read(ref + slotSuffix)
      if (read.kind === 'deleted') throw deletedError(calls.pathOf(ref + slotSuffix, 'data'), read.version)
      if (read.kind === 'found') return { token: String(read.version), fields: textsOf(read.data) }
      return { token: read.kind === 'absent' ? '0' : String(read.version) }
    },
    async writeSlot(ref, token, fields) {
      const version = await write(ref + slotSuffix, Number(token), fields)
      return version === undefined ? undefined : String(version)
    },
    nameOfSlot: (ref) => calls.pathOf(ref + slotSuffix, 'data'),
    async forgetInMain(ref, secret) {
      const holding: number[] = []
      const newest = await fresh.read(ref)
      const start = newest.kind === 'absent' ? 0 : newest.version
      for (let version = start - 1; version > Math.max(0, start - 1 - historyMax); version -= 1) {
        const read = await calls.read(ref, version)
        if (read.kind === 'absent') break
        // Where other fields are in it as well, their history is not ours to take: the key is dead at the issuer by now.
        if (read.kind !== 'found') continue
        const { [field]: value, ...others } = read.data
        if (typeof value !== 'string' || !new Secret(withoutFileMarks(value)).equals(secret)) continue
        // Where others have fields in it, its history is theirs as well: the key is dead at the issuer by now.
        if (Object.keys(others).length === 0) holding.push(version)
      }
      if (holding.length > 0) await calls.destroy(ref, holding)
    },
    async forgetInSlot(ref) {
      const slot = ref + slotSuffix
      const newest = await fresh.read(slot)
      if (newest.kind === 'absent' || newest.version < 2) return
      const count = Math.min(newest.version - 1, destroyedMax)
      await calls.destroy(
        slot,
        Array.from({ length: count }, (_, index) => newest.version - 1 - index),
      )
    },
  }
}

const warnedMax = 20_000

function documentOf(version: number, data: VaultDocument['data'], secret?: Secret): VaultDocument {
  return {
    version,
    data,
    token: String(version),
    isThere: version > 0,
    ...(secret === undefined ? {} : { secret }),
  }
}

/** Undefined where the document has no such field, or an empty one: no key was put into it yet. */
function keyIn(data: VaultDocument['data'], field: string, where: string): Secret | undefined {
  const value = Object.hasOwn(data, field) ? data[field] : undefined
  if (value === undefined || value === null || value === '') return undefined
  const key = typeof value === 'string' ? withoutFileMarks(value) : ''
  if (key.trim() !== '') return new Secret(key)
  throw new KeyturnError('store_malformed', `${where} has no text in its field ${field}.`, {
    fix: `Put the key into ${field}, or nothing at all ("") where there is none yet, or configure the field that holds the key.`,
  })
}

function textsOf(data: VaultDocument['data']): Readonly<Record<string, string>> {
  const texts: Record<string, string> = {}
  for (const [name, value] of Object.entries(data)) if (typeof value === 'string') texts[name] = value
  return texts
}

function deletedError(path: string, version: number): KeyturnError {
  const [mount, name] = path.split('/data/')
  return new KeyturnError('store_disabled', `The newest version (${version}) of ${path} is deleted.`, {
    fix: `vault kv undelete -mount=${mount} -versions=${version} ${name}`,
  })
}

// ------------------------------------------------------------------ standby nodes

interface Seen {
  readonly version: number
  readonly createdAt: number
  /** Since when only older states were told. */
  readonly behindSince?: number
}

/** Longer than any standby may lag: by then somebody has removed the document and made it anew. */
const lagMsMax = 30_000
const seenMax = 40_000

/**
 * Standby nodes answer reads too (OpenBao since 2.5.0, performance standbys of Vault), and later than they should. Having
 * seen a version, this client takes nothing older for the truth: it is tried again, and absence is no absence.
 */
function freshReader(
  calls: VaultCalls,
  { system }: StoreContext,
): { read(ref: string): Promise<KvRead>; wrote(ref: string, version: number): void } {
  const seen = new Map<string, Seen>()
  const remember = (ref: string, newest: Seen): void => {
    if (seen.size >= seenMax) seen.clear()
    seen.set(ref, newest)
  }
  return {
    async read(ref) {
      const known = seen.get(ref)
      const read = await calls.read(ref)
      if (
        read.kind !== 'absent' &&
        (known === undefined || read.version >= known.version || read.createdAt > known.createdAt)
      ) {
        remember(ref, { version: read.version, createdAt: read.createdAt })
        return read
      }
      if (known === undefined) return read
      const behindSince = known.behindSince ?? system.now()
      if (system.now() - behindSince >= lagMsMax) {
        seen.delete(ref)
        return read
      }
      seen.set(ref, { ...known, behindSince })
      throw new KeyturnError(
        'store_unreachable',
        `Vault told an older state of ${calls.pathOf(ref, 'data')} than it had before.`,
        { fix: 'A standby node lags behind: nothing is to be done, it is tried again.', retryable: true },
      )
    },
    wrote(ref, version) {
      const known = seen.get(ref)
      if (known === undefined || version >= known.version)
        remember(ref, { version, createdAt: known?.createdAt ?? 0 })
      else remember(ref, { version, createdAt: 0 })
    },
  }
}

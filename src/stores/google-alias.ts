import { KeyturnError } from '../core/errors.ts'
import type { PermissionFinding, SecretStore, StoreCapabilities, StoredVersion } from '../core/ports.ts'
import type { Secret } from '../core/secret.ts'
import type { VersionId } from '../core/types.ts'
import { assertVersionId, type StoreContext, warn } from './context.ts'
import { type AliasLook, type AliasPlace, aliasDocument } from './google-alias-document.ts'
import type { GoogleCalls } from './google-calls.ts'
import { type Keeper, provenForReadersMs } from './google-keeper.ts'
import { parseGoogleRef } from './google-names.ts'
import { settle } from './settle.ts'
import {
  annotateOn,
  describeShelf,
  destroyOn,
  find,
  otherSecretError,
  promoteOn,
  retireOn,
  type Shelf,
  stageOn,
} from './shelf.ts'
import { keyAlone } from './slot-state.ts'
import { assertStorable } from './values.ts'

const capabilities: StoreCapabilities = {
  kind: 'google-secret-manager',
  writable: true,
  // A version without an alias is nobody's who reads by alias.
  staging: 'native',
  cas: 'native',
  destroy: 'version',
  // ASSUMPTION: Google says minutes, and hours at worst, for what is read by an alias
  // (https://cloud.google.com/secret-manager/docs/data-consistency, 2026-11-21).
  propagationMs: 60 * 60_000,
}

export interface AliasOptions extends AliasPlace {
  readonly failuresMax: number
  readonly check: (ref: string) => Promise<readonly PermissionFinding[]>
}

interface Decision {
  readonly shelf: Shelf
  readonly texts?: ReadonlyMap<VersionId, Secret>
}

/**
 * Everything in one secret, for those who read an alias of it: a promotion is one UpdateSecret under the etag that moves the
 * aliases together with the annotations that say what each version is.
 */
export function aliasStore(
  calls: GoogleCalls,
  keeper: Keeper,
  options: AliasOptions,
  context: StoreContext,
): SecretStore {
  const { system } = context
  const document = aliasDocument(calls, keeper, options, context)
  const settled = <Result>(ref: string, round: () => Promise<Result>): Promise<Result> =>
    settle(ref, system, options, async () => ({ done: await round() }))
  /** `decide` runs once per round; undefined: nothing is to be done. */
  const change = (
    ref: string,
    decide: (look: AliasLook) => Decision | undefined | Promise<Decision | undefined>,
  ): Promise<void> =>
    settle(ref, system, options, async () => {
      const look = await document.look(ref)
      let decision: Decision | undefined
      try {
        decision = await decide(look)
      } catch (thrown) {
        const mayPass = thrown instanceof KeyturnError && thrown.retryable
        // What it was refused for may be over: reads can be old.
        if (mayPass || (await keeper.prove(look.kept))) throw thrown
        return undefined
      }
      if (decision === undefined) return (await keeper.prove(look.kept)) ? { done: undefined } : undefined
      return (await document.write(ref, look, decision)) ? { done: undefined } : undefined
    })
  const storedVersion = async (look: AliasLook, version: VersionId): Promise<StoredVersion | undefined> => {
    const entry = find(look.shelf, version)
    const secret = entry === undefined ? undefined : await document.keyOf(look, version)
    return entry === undefined || secret === undefined ? undefined : { version, secret, meta: entry.meta }
  }
  const warned = new Set<string>()

  return {
    capabilities,
    async read(ref, asked) {
      parseGoogleRef(ref)
      return settle(ref, system, options, async () => {
        try {
          const look = await document.look(ref)
          const version = asked?.version ?? look.shelf.current
          const done = version === undefined ? undefined : await storedVersion(look, version)
          const isSure = done !== undefined || asked?.version === undefined
          return isSure || (await keeper.prove(look.kept, provenForReadersMs)) ? { done } : undefined
        } catch (thrown) {
          const isDenied = thrown instanceof KeyturnError && thrown.code === 'store_denied'
          if (!isDenied || asked?.version !== undefined) throw thrown
          // Throws where the value is what may not be read.
          const alone = await document.readAlone(ref)
          if (!warned.has(ref) && warned.size < warnedMax) {
            warned.add(ref)
            warn(context, `${ref} is read without its metadata, which may not be read.`, { ref })
          }
          return { done: alone }
        }
      })
    },
    async describe(ref) {
      parseGoogleRef(ref)
      const look = await settled(ref, () => document.look(ref))
      return look.kept.secret === undefined ? undefined : describeShelf(look.shelf)
    },
    async stage(ref, { version, secret, meta, fence }) {
      parseGoogleRef(ref)
      assertVersionId(version)
      assertStorable(ref, secret)
      const key = keyAlone(secret)
      await change(ref, async (look) => {
        const result = stageOn(ref, look.shelf, { version, meta, fence, at: system.now() })
        if (result.kind === 'staged')
          return { shelf: result.shelf, texts: new Map([[version, document.textFor(look, key, ref)]]) }
        if ((await document.keyOf(look, version))?.equals(key) === true) return undefined
        throw otherSecretError(ref, version)
      })
    },
    async promote(ref, request) {
      parseGoogleRef(ref)
      return settle(ref, system, options, async () => {
        const look = await document.look(ref)
        const { outcome, shelf } = promoteOn(ref, look.shelf, request)
        const key = shelf === undefined ? undefined : await document.keyOf(look, request.to)
        if (shelf === undefined || key === undefined) {
          const lost = shelf === undefined ? outcome : { kind: 'gone' as const }
          return lost.kind === 'already' || (await keeper.prove(look.kept)) ? { done: lost } : undefined
        }
        const texts = await document.renewed(look, request.to, key, ref)
        return (await document.write(ref, look, { shelf, texts })) ? { done: outcome } : undefined
      })
    },
    async retire(ref, request) {
      parseGoogleRef(ref)
      await change(ref, ({ shelf }) => only(retireOn(ref, shelf, request)))
    },
    async destroy(ref, version) {
      parseGoogleRef(ref)
      await change(ref, ({ shelf }) => only(destroyOn(ref, shelf, version)))
      // Also where there was nothing to change: a crash in between may have left the value.
      await settled(ref, async () => keeper.sweep(await options.nameOf(ref)))
      return 'destroyed'
    },
    async annotate(ref, version, meta) {
      parseGoogleRef(ref)
      await change(ref, ({ shelf }) => ({ shelf: annotateOn(ref, shelf, version, meta) }))
    },
    async check(ref) {
      parseGoogleRef(ref)
      return settled(ref, () => options.check(ref))
    },
    close: () => calls.close(),
  }
}

const warnedMax = 20_000

function only(shelf: Shelf | undefined): Decision | undefined {
  return shelf === undefined ? undefined : { shelf }
}

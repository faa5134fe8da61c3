import { mirrorOf } from '../core/mirrors.ts'
import type { SecretStore, StoreCapabilities } from '../core/ports.ts'
import type { KeyId, VersionId } from '../core/types.ts'
import { listed, type PerformContext } from './performing.ts'

/** What `destroy` of a store came to. */
type Fate = Awaited<ReturnType<SecretStore['destroy']>>

const fateOf: Readonly<Record<StoreCapabilities['destroy'], Fate>> = {
  version: 'destroyed',
  unlabel: 'unlabelled',
  disable: 'disabled',
  none: 'unsupported',
}

/**
 * What is left of a key that a rehearsal has ended: in the store, in the mirrors that had it, and at the issuer. For people,
 * in sentences made of what was seen and of what each store says it can do. Never throws: who cannot be asked is told by
 * what it can do.
 */
export async function residueOf(
  ended: { readonly version: VersionId; readonly keyId: KeyId | undefined; readonly fate: Fate },
  context: PerformContext,
): Promise<readonly string[]> {
  return [
    ...(await storeResidue(ended.version, ended.fate, context)),
    ...mirrorResidue(ended.version, context),
    ...(ended.keyId === undefined ? [] : await issuerResidue({ ...ended, keyId: ended.keyId }, context)),
  ]
}

async function storeResidue(
  version: VersionId,
  fate: Fate,
  { setup, deps }: PerformContext,
): Promise<readonly string[]> {
  const place = `The ${setup.store.capabilities.kind} store (${setup.ref})`
  try {
    const described = await setup.store.describe(setup.ref)
    const isNamed = described?.versions.some((one) => one.version === version) ?? false
    const isMade = described !== undefined && described.current === undefined
    const made = isMade ? [`${place} has the secret itself, without a current version.`] : []
    if (fate === 'destroyed' && !isNamed) return [`${place} keeps nothing of version ${version}.`, ...made]
    return [sentenceOf(place, version, fate), ...made]
  } catch (thrown) {
    deps.log('warn', 'the store could not be asked what a rehearsal left there', {
      credential: setup.name,
      error: thrown,
    })
    return [sentenceOf(place, version, fate)]
  }
}

/** They are put in line after the rotation, each in its own time; what they can do then is known. */
function mirrorResidue(version: VersionId, { setup, state }: PerformContext): readonly string[] {
  return setup.mirrors
    .map((mirror) => ({ ...mirror, hold: mirrorOf(state(), mirror.id)?.holds }))
    .flatMap(({ id, store, hold }) => {
      const as = hold?.find((one) => one.version === version)?.as
      return as === undefined ? [] : [sentenceOf(`The mirror ${id}`, as, fateOf[store.capabilities.destroy])]
    })
}

function sentenceOf(place: string, version: VersionId, fate: Fate): string {
  switch (fate) {
    case 'destroyed':
      return `${place} lists version ${version} as retired, without its value.`
    case 'disabled':
      return `${place} keeps version ${version} disabled, with the value of a key that is dead.`
    case 'unlabelled':
      return `${place} keeps version ${version} without a label until it drops it by itself, with the value of a key that is dead.`
    case 'unsupported':
      return `${place} keeps version ${version}, with the value of a key that is dead.`
  }
}

/** Also of a key that was never stored: it was made and ended all the same. */
export async function issuerResidue(
  { version, keyId }: { readonly version: VersionId; readonly keyId: KeyId },
  context: PerformContext,
): Promise<readonly string[]> {
  const { setup, state } = context
  const record = state().versions.find((one) => one.version === version)
  const attempt = state().rotation?.attempts.find((one) => one.version === version)
  const { serviceAccount } = record?.meta ?? {}
  const marker = record?.meta.marker ?? attempt?.marker
  const traces = setup.issuer.traces?.({
    keyId,
    ...(marker === undefined ? {} : { marker }),
    ...(serviceAccount === undefined ? {} : { serviceAccount }),
  })
  const isListed = (await listed(context))?.some((one) => one.keyId === keyId) ?? false
  const expired = isListed ? [`OpenAI still lists ${keyId}: it would not delete it, and let it expire.`] : []
  return [...expired, ...(traces ?? [])]
}

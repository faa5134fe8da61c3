import { KeyturnError } from '../core/errors.ts'
import { Secret } from '../core/secret.ts'
import type { StoreContext } from './context.ts'
import { warn } from './context.ts'
import { type Claim, claimedIn, leastNumber, readClaim, touched } from './google-annotations.ts'
import type { GoogleCalls, GoogleSecret } from './google-calls.ts'
import { fullName, type GoogleName, gcloudOptions } from './google-names.ts'
import type { Newest, NewestReader } from './google-newest.ts'
import { promoter } from './google-promote.ts'
import type { GoogleText } from './google-text.ts'
import type { DocumentPair } from './slot-pair.ts'
import { digestOf, type MainDocument } from './slot-state.ts'

export interface GoogleMain extends MainDocument {
  /** Undefined where there is no such secret, or its metadata may not be read. */
  readonly held: GoogleSecret | undefined
  /** Why it is undefined although there is one. */
  readonly refused: KeyturnError | undefined
  /** Of the newest version; 0: there is none. */
  readonly number: number
  readonly text: Secret | undefined
  /** Of somebody who may be about to add a version. */
  readonly claim: Claim | undefined
}

export interface MainPlace {
  nameOf(ref: string): Promise<GoogleName>
  readonly newest: NewestReader
  readonly text: GoogleText
  readonly createIfAbsent: boolean
  readonly requestTimeoutMs: number
}

/** Versions behind a claim that are looked through for the one that it was for. */
const claimedMax = 10
/** Former versions that are looked through for a destroyed key. */
const historyMax = 30
const warnedMax = 20_000

/** The secret that others read: its newest version holds the current key. */
export function googleMain(
  calls: GoogleCalls,
  place: MainPlace,
  context: StoreContext,
): Pick<DocumentPair<GoogleMain>, 'readMain' | 'writeMain' | 'touchMain' | 'forgetInMain'> {
  const { newest, text } = place
  const warned = new Set<string>()

  const readMain = async (ref: string): Promise<GoogleMain> => {
    const name = await place.nameOf(ref)
    // The etag first: whatever is added under a claim after this makes it an old one.
    const { held, refused } = await getOrRefused(calls, name)
    const nothing = { held, refused, number: 0, text: undefined, claim: undefined }
    if (held === undefined && refused === undefined) {
      await assertGone(name)
      return { ...nothing, token: '', isThere: false }
    }
    if (held !== undefined) warnOfExpiry(ref, held)
    const found = await newest.read(name, held === undefined ? 0 : leastNumber(held))
    const { number, value } = valueIn(found, name)
    const key = value === undefined ? undefined : text.keyIn(value, fullName(name))
    const claim = held === undefined ? undefined : await openClaim(name, held, number, key)
    const claimed = held && key && claimedIn(held, number, key, context)
    return {
      held,
      refused,
      number,
      claim,
      text: value === undefined ? undefined : new Secret(value),
      token: claim?.token ?? held?.etag ?? '',
      isThere: held !== undefined || number > 0,
      ...(key === undefined ? {} : { secret: key }),
      ...(claimed === undefined ? {} : { claimed }),
    }
  }
  /** An absence that contradicts what was seen is an old answer, unless the version is not there either. */
  const assertGone = async (name: GoogleName): Promise<void> => {
    const known = newest.known(name)
    if (known === 0 || (await calls.access(name, known)).kind === 'absent') return
    throw new KeyturnError('store_unreachable', `Google told of no ${fullName(name)} although it is there.`, {
      fix: 'Nothing is to be done: Secret Manager is eventually consistent, and it is asked again.',
      retryable: true,
    })
  }
  /** Undefined where there is none, or the version that it was for is there. */
  const openClaim = async (
    name: GoogleName,
    held: GoogleSecret,
    number: number,
    key: Secret | undefined,
  ): Promise<Claim | undefined> => {
    const claim = readClaim(held)
    if (claim === undefined) return undefined
    const isIt = (each: Secret | undefined): boolean =>
      each !== undefined && digestOf(each, context.system) === claim.digest
    if (number > claim.from && isIt(key)) return undefined
    for (let each = claim.from + 1; each < Math.min(number, claim.from + claimedMax); each += 1) {
      const access = await calls.access(name, each)
      if (access.kind === 'found' && isIt(text.keyOrNothing(access.text, fullName(name)))) return undefined
    }
    return claim
  }
  const warnOfExpiry = (ref: string, { expiresAt, name }: GoogleSecret): void => {
    if (expiresAt === undefined || warned.has(ref)) return
    if (warned.size >= warnedMax) warned.clear()
    warned.add(ref)
    const at = new Date(expiresAt).toISOString()
    warn(context, `Google will delete ${fullName(name)} at ${at} by itself: apps lose their key then.`, {
      ref,
      at,
    })
  }

  const promotion = promoter(calls, place, readMain, context)
  return {
    readMain,
    writeMain: (ref, main, change) => promotion.write(ref, main, change),
    async touchMain(ref, main) {
      if (main.refused !== undefined) throw main.refused
      if (!(await promotion.isFree(ref, main))) return false
      const { held } = main
      if (held !== undefined)
        return (await calls.update(held, { annotations: touched(held, context.system.uuid()) })) !== undefined
      // Nobody can promote into what is not there, unless they make it.
      if (!place.createIfAbsent) return true
      return (await calls.create(await place.nameOf(ref), { annotations: new Map() })) !== undefined
    },
    async forgetInMain(ref, secret) {
      const name = await place.nameOf(ref)
      const last = text.isShared ? await newest.read(name) : undefined
      // Where others have fields in it, its history is theirs as well: the key is dead at the issuer by now.
      if (last?.kind === 'found' && !text.isAlone(last.text)) return
      const listed = (await calls.list(name, 100)) ?? []
      const newestNumber = Math.max(newest.known(name), ...listed.map(({ number }) => number))
      const former = listed.filter(({ number, state }) => state === 'enabled' && number < newestNumber)
      for (const { number } of former.slice(0, historyMax)) {
        const access = await calls.access(name, number)
        if (access.kind !== 'found' || !text.isAlone(access.text)) continue
        if (text.keyOrNothing(access.text, fullName(name))?.equals(secret) === true)
          await calls.destroy(name, number)
      }
    },
  }

  function valueIn(found: Newest, name: GoogleName): { readonly number: number; readonly value?: string } {
    if (found.kind === 'found') return { number: found.number, value: found.text }
    if (found.kind === 'disabled') throw disabledError(name, found.number)
    return { number: found.kind === 'destroyed' ? found.number : 0 }
  }
}

async function getOrRefused(
  calls: GoogleCalls,
  name: GoogleName,
): Promise<Pick<GoogleMain, 'held' | 'refused'>> {
  try {
    return { held: await calls.get(name), refused: undefined }
  } catch (thrown) {
    // Whoever may only read values is an app, and gets them.
    if (thrown instanceof KeyturnError && thrown.code === 'store_denied')
      return { held: undefined, refused: thrown }
    throw thrown
  }
}

export function disabledError(name: GoogleName, number: number | undefined): KeyturnError {
  const which = number === undefined ? '' : ` (${number})`
  const version = number === undefined ? 'VERSION' : String(number)
  return new KeyturnError(
    'store_disabled',
    `The newest version${which} of ${fullName(name)} is disabled or may not be read.`,
    {
      fix: `gcloud secrets versions enable ${version} --secret=${name.id} ${gcloudOptions(name)}`,
    },
  )
}

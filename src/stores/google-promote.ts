import { KeyturnError, toKeyturnError } from '../core/errors.ts'
import { Secret } from '../core/secret.ts'
import type { VersionId } from '../core/types.ts'
import { type StoreContext, warn } from './context.ts'
import { type Claim, claimAnnotation, readClaim, withClaim, withoutClaim } from './google-annotations.ts'
import type { GoogleCalls, GoogleSecret } from './google-calls.ts'
import { notMadeError } from './google-keeper.ts'
import type { GoogleMain, MainPlace } from './google-main.ts'
import { fullName, type GoogleName } from './google-names.ts'
import { digestOf } from './slot-state.ts'

/** Versions of others that are merged in one promotion; each costs one more version of ours. */
const mergesMax = 10
/** Versions that are looked for behind ours, or between. */
const othersMax = 20
/** Looks at somebody else's claim in one round; the caller's rounds come on top. */
const looksMax = 16
const lookPauseMs = { base: 10, max: 500 }
const notesMax = 3
const claimsMax = 1_000
/** Looks at a claim of our own whose version may still arrive: enough for the life of one, where a request takes 5 s at most. */
const ownLooksMax = 64
/** A claim outlives its owner's calls (claiming, and adding the version) and a pause in between. */
const lifeOf = (requestTimeoutMs: number): number => 3 * requestTimeoutMs + 5_000
/** Later than this after claiming no version is added: its request could outlive the claim. */
const addUntilOf = (requestTimeoutMs: number): number => 2 * requestTimeoutMs + 2_000

interface Other {
  readonly number: number
  /** Undefined: disabled or destroyed by now. */
  readonly text: string | undefined
}

/**
 * Adding the version that makes a key current. Google adds for everybody, so those who ask take turns: (1) a claim in the
 * annotations, under the etag that was read with the newest number; (2) the version; (3) its number tells whether somebody
 * who knows of no claims came in between, and what they wrote is kept; (4) the claim is taken off.
 */
export function promoter(
  calls: GoogleCalls,
  place: MainPlace,
  readMain: (ref: string) => Promise<GoogleMain>,
  context: StoreContext,
): {
  write(
    ref: string,
    main: GoogleMain,
    change: { readonly secret: Secret; readonly version: VersionId },
  ): Promise<boolean>
  /** False: it had to be waited for a claim, and all may be different now. */
  isFree(ref: string, main: GoogleMain): Promise<boolean>
} {
  const { system } = context
  const { newest, text } = place
  /** Claims of ours under which nothing was sent that did not get its answer. */
  const ended = new Set<string>()
  /** Claims of ours whose version was sent and may still arrive. */
  const unanswered = new Set<string>()
  const firstSeenAt = new Map<string, number>()
  const end = (nonce: string, isAnswered: boolean): void => {
    const nonces = isAnswered ? ended : unanswered
    if (nonces.size >= claimsMax) nonces.clear()
    nonces.add(nonce)
  }
  const saw = (nonce: string, at: number): number => {
    if (firstSeenAt.size >= claimsMax) firstSeenAt.clear()
    const since = firstSeenAt.get(nonce) ?? at
    firstSeenAt.set(nonce, since)
    return since
  }

  const isFree = async (ref: string, main: GoogleMain): Promise<boolean> => {
    const { claim } = main
    if (claim === undefined || ended.has(claim.nonce)) return true
    const since = saw(claim.nonce, system.now())
    const isOwn = unanswered.has(claim.nonce)
    for (let look = 0; look < (isOwn ? ownLooksMax : looksMax); look += 1) {
      // Seen unchanged for longer than its owner's calls can last: nothing of it can arrive any more.
      if (system.now() - since > claim.lifeMs) return true
      const pauseMs = Math.min(lookPauseMs.base * 2 ** look, lookPauseMs.max) * (0.5 + system.fraction() / 2)
      await new Promise<void>((resolve) => void system.after(pauseMs, resolve))
      if ((await readMain(ref)).claim?.nonce !== claim.nonce) return false
    }
    const what = isOwn
      ? `A promotion of ${ref} got no answer and may still arrive.`
      : `A promotion of ${ref} by another replica is under way.`
    throw new KeyturnError('store_conflict', what, {
      fix: 'Nothing is to be done: it is tried again, and taken over once nothing of that promotion can arrive any more.',
      retryable: true,
    })
  }

  const write = async (
    ref: string,
    main: GoogleMain,
    change: { readonly secret: Secret; readonly version: VersionId },
  ): Promise<boolean> => {
    if (main.refused !== undefined) throw main.refused
    if (!(await isFree(ref, main))) return false
    const name = await place.nameOf(ref)
    // `latest` may lag; a number does not.
    if (main.held !== undefined && (await calls.access(name, main.number + 1)).kind !== 'absent') {
      newest.saw(name, main.number + 1)
      return false
    }
    return merging(name, main, change)
  }

  /** One claim and one version per round; in most promotions there is one round. */
  const merging = async (
    name: GoogleName,
    main: GoogleMain,
    { secret, version }: { readonly secret: Secret; readonly version: VersionId },
  ): Promise<boolean> => {
    let { held, number: from, text: base } = main
    let wanted = secret
    let isPuttingBack = false
    for (let round = 0; round < mergesMax; round += 1) {
      const next = text.next(wanted, base, fullName(name))
      const digest = digestOf(wanted, system)
      const claim: Claim = {
        to: version,
        from,
        token: main.token,
        digest,
        // Another one each time: whoever waits begins to count anew.
        nonce: system.uuid(),
        lifeMs: lifeOf(place.requestTimeoutMs),
      }
      const added = await underClaim(name, held, claim, next)
      if (added === undefined) return false
      held = added.held
      const { number } = added
      if (number === undefined) continue
      newest.saw(name, number)
      const last = await lastOther(name, from, number)
      const done = async (): Promise<boolean> => {
        const current = isPuttingBack ? undefined : { number, version, digest }
        await note(name, held, claim.nonce, current)
        return !isPuttingBack
      }
      if (last?.text === undefined) return done()
      const verdict = judge(name, last.text, { isBefore: last.number < number, wanted, old: main.secret })
      if (verdict === 'done') return done()
      if (verdict !== 'merge') {
        wanted = verdict.restore
        isPuttingBack = true
      }
      base = new Secret(last.text)
      from = Math.max(number, last.number)
    }
    throw new KeyturnError('store_conflict', `${fullName(name)} is being changed by others all the time.`, {
      fix: `Find out who adds versions to it that often; what version ${from - 1} changed may not be in the newest one.`,
      retryable: true,
    })
  }

  /**
   * What to do about a version by somebody else that came right before or after ours: nothing; one more version with their
   * fields and our key; or theirs once more, where it was they who changed the key, and first.
   */
  const judge = (
    name: GoogleName,
    theirText: string,
    about: { readonly isBefore: boolean; readonly wanted: Secret; readonly old: Secret | undefined },
  ): 'done' | 'merge' | { readonly restore: Secret } => {
    const { isBefore, wanted, old } = about
    const theirs = text.keyOrNothing(theirText, fullName(name))
    const isOurs = theirs?.equals(wanted) === true
    const isOld = theirs === undefined ? text.isDocument(theirText) : old?.equals(theirs) === true
    // What came after ours with another key was meant to replace it, and has.
    if (!isBefore) return text.isShared && isOld && !isOurs ? 'merge' : 'done'
    if (isOurs || isOld) return text.isShared ? 'merge' : 'done'
    return theirs === undefined ? 'done' : { restore: theirs }
  }

  const take = async (
    name: GoogleName,
    held: GoogleSecret | undefined,
    claim: Claim,
  ): Promise<GoogleSecret | undefined> => {
    if (held !== undefined) return calls.update(held, { annotations: withClaim(held, claim) })
    if (!place.createIfAbsent) throw notMadeError(name)
    return calls.create(name, { annotations: new Map([[claimAnnotation, JSON.stringify(claim)]]) })
  }

  /**
   * Claims, and adds a version under the claim. Undefined: somebody changed the secret. Without a number: claiming took so
   * long that the version could have outlived the claim, so that it was not sent.
   */
  const underClaim = async (
    name: GoogleName,
    before: GoogleSecret | undefined,
    claim: Claim,
    next: Secret,
  ): Promise<{ readonly held: GoogleSecret; readonly number?: number } | undefined> => {
    const claimedAt = system.now()
    let isAnswered = true
    try {
      const held = await take(name, before, claim)
      if (held === undefined) return undefined
      if (system.now() - claimedAt > addUntilOf(place.requestTimeoutMs)) return { held }
      isAnswered = false
      const number = await addOnce(name, next, claim.from, () => {
        isAnswered = true
      })
      return { held, number }
    } finally {
      if (!isAnswered) saw(claim.nonce, claimedAt)
      end(claim.nonce, isAnswered)
    }
  }

  /** Where no answer came, the version is looked for by its number before it counts as not added. */
  const addOnce = async (
    name: GoogleName,
    value: Secret,
    from: number,
    onAnswer: () => void,
  ): Promise<number> => {
    try {
      const number = await calls.add(name, value.reveal())
      onAnswer()
      return number
    } catch (thrown) {
      // All other codes are what Google said about it.
      if (thrown instanceof KeyturnError && thrown.code !== 'store_unreachable') onAnswer()
      if (!(thrown instanceof KeyturnError && thrown.retryable)) throw thrown
      const added = (await othersFrom(name, from + 1)).findLast(
        (each) => each.text !== undefined && value.equals(new Secret(each.text)),
      )
      if (added === undefined) throw thrown
      onAnswer()
      return added.number
    }
  }

  /** The last version by somebody else behind `from`: after ours, or between. */
  const lastOther = async (name: GoogleName, from: number, ours: number): Promise<Other | undefined> => {
    const after = (await othersFrom(name, ours + 1)).at(-1)
    if (after !== undefined) newest.saw(name, after.number)
    if (after !== undefined || ours === from + 1) return after
    const access = await calls.access(name, ours - 1)
    return { number: ours - 1, text: access.kind === 'found' ? access.text : undefined }
  }

  const othersFrom = async (name: GoogleName, start: number): Promise<readonly Other[]> => {
    const found: Other[] = []
    for (let number = start; number < start + othersMax; number += 1) {
      const access = await calls.access(name, number)
      if (access.kind === 'absent') break
      found.push({ number, text: access.kind === 'found' ? access.text : undefined })
    }
    return found
  }

  /** The version is there: that the claim stays where this fails costs the next one a look, and no more. */
  const note = async (
    name: GoogleName,
    claimed: GoogleSecret | undefined,
    nonce: string,
    current: { readonly number: number; readonly version: VersionId; readonly digest: string } | undefined,
  ): Promise<void> => {
    try {
      let held = claimed
      for (let attempt = 0; attempt < notesMax && held !== undefined; attempt += 1) {
        if (readClaim(held)?.nonce !== nonce) return
        if ((await calls.update(held, { annotations: withoutClaim(held, current) })) !== undefined) return
        held = await calls.get(name)
      }
    } catch (thrown) {
      const { code } = toKeyturnError(thrown, `noting a promotion on ${fullName(name)}`)
      warn(context, `A promotion was made and could not be noted on ${fullName(name)}.`, { code })
    }
  }

  return { write, isFree }
}

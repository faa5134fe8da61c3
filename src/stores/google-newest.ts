import { KeyturnError } from '../core/errors.ts'
import type { GoogleAccess, GoogleCalls } from './google-calls.ts'
import { fullName, type GoogleName } from './google-names.ts'

export type Newest =
  | { readonly kind: 'found'; readonly number: number; readonly text: string }
  /** No secret, or one without versions. */
  | { readonly kind: 'none' }
  | { readonly kind: 'disabled'; readonly number: number | undefined }
  /** Google has its value no more: as good as none, and a number all the same. */
  | { readonly kind: 'destroyed'; readonly number: number }

export interface NewestReader {
  /** `floor`: a number that is known to be there. */
  read(name: GoogleName, floor?: number): Promise<Newest>
  /** Tells of a number that exists. */
  saw(name: GoogleName, number: number): void
  /** The highest number that this process knows of; 0: none. */
  known(name: GoogleName): number
}

/** More versions than this are not added between two looks. */
const stepsMax = 100
const seenMax = 40_000

/**
 * The newest version. `latest` is only eventually consistent, within minutes as a rule and hours at worst, while access by
 * number is strongly consistent (https://cloud.google.com/secret-manager/docs/data-consistency, 2026-11-21): where `latest`
 * tells less than is known, the numbers are walked from there on.
 */
export function newestReader(calls: GoogleCalls): NewestReader {
  const seen = new Map<string, number>()
  const known = (name: GoogleName): number => seen.get(fullName(name)) ?? 0
  const saw = (name: GoogleName, number: number): void => {
    if (known(name) >= number) return
    if (seen.size >= seenMax) seen.clear()
    seen.set(fullName(name), number)
  }

  /** From a number that is there to the last one. Undefined: it is not there, so that the secret was made anew. */
  const walk = async (name: GoogleName, from: number): Promise<Newest | undefined> => {
    let last = await calls.access(name, from)
    if (last.kind === 'absent') return undefined
    let number = from
    for (let step = 0; step < stepsMax; step += 1) {
      const next = await calls.access(name, number + 1)
      if (next.kind === 'absent') break
      last = next
      number += 1
    }
    saw(name, number)
    return last.kind === 'found' ? last : blocked(calls, name, number)
  }
  const told = async (name: GoogleName, latest: GoogleAccess): Promise<Newest> => {
    if (latest.kind === 'absent') return { kind: 'none' }
    if (latest.kind === 'blocked') return blocked(calls, name, undefined)
    saw(name, latest.number)
    return latest
  }

  return {
    known,
    saw,
    async read(name, floor = 0) {
      const least = Math.max(floor, known(name))
      const latest = await calls.access(name, 'latest')
      if (latest.kind === 'found' && latest.number >= least) return told(name, latest)
      const walked = least === 0 ? undefined : await walk(name, least)
      if (walked !== undefined) return walked
      seen.delete(fullName(name))
      return told(name, latest)
    },
  }
}

/** Which of the two it is, where that may be seen. */
async function blocked(calls: GoogleCalls, name: GoogleName, number: number | undefined): Promise<Newest> {
  try {
    const listed = (await calls.list(name, 100)) ?? []
    const one = number === undefined ? listed[0] : listed.find((each) => each.number === number)
    if (one?.state === 'destroyed') return { kind: 'destroyed', number: one.number }
    return { kind: 'disabled', number: one?.number ?? number }
  } catch (thrown) {
    if (thrown instanceof KeyturnError && thrown.code === 'store_denied') return { kind: 'disabled', number }
    throw thrown
  }
}

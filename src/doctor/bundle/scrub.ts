import { redactKeys } from '../../core/key-shape.ts'
import type { Secret } from '../../core/secret.ts'
import { withoutCredentials } from '../report.ts'

/** What must not be in a bundle, besides whatever looks like a key, a token or an address of a person. */
export interface Known {
  /** Keys, and all other values that are secret. */
  readonly secrets: readonly (Secret | string)[]
  /** Of this user: the home folder and the names. */
  readonly home: string
  readonly names: readonly string[]
}

export type Scrub = <Value>(value: Value) => Value

/** No text holds a piece of a secret that long by chance. */
const windowChars = 12
/** Shorter ones are words. */
const secretCharsMin = 6
const nameCharsMin = 3
/** Of nobody in particular. */
const commonNames: readonly string[] = [
  'root',
  'node',
  'runner',
  'app',
  'user',
  'admin',
  'ubuntu',
  'localhost',
]

/** Takes it out of every text of a document, names of fields among them. */
export function createScrub(known: Known): Scrub {
  const pieces = piecesOf(known.secrets)
  const names = known.names.filter((one) => one.length >= nameCharsMin && !commonNames.includes(one))
  const home = known.home.length > 1 ? new RegExp(`${literally(known.home)}(?![\\w.-])`, 'g') : undefined
  const text = (given: string): string => {
    const plain = withoutPieces(withoutShapes(given), pieces)
    const homeless = home === undefined ? plain : plain.replaceAll(home, '~')
    const unnamed = homeless.replaceAll(homes, '$1[user]')
    return names.reduce((line, name) => line.replaceAll(wholeWord(name), '[user]'), unnamed)
  }
  const scrub = (value: unknown): unknown => {
    if (typeof value === 'string') return text(value)
    if (Array.isArray(value)) return value.map(scrub)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [text(name), scrub(inner)]))
  }
  // A document keeps its shape: only texts inside of it change.
  return scrub as Scrub
}

const homes = /((?:\/home\/|\/Users\/|[A-Za-z]:\\Users\\))[^/\\\s:'"]+/g
const mail = /[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+/g
/** Of Keyturn itself, and of those whose tools are found beside it. */
const tokens = /\b(?:kt_[a-z]+_|gh[pousr]_|github_pat_|glpat-|xox[abp]-|hvs\.|AKIA|ASIA)[A-Za-z0-9_-]{8,}/g
const address = /\b[a-z][a-z0-9+.-]*:\/\/[^\s'"<>|]+/gi

function withoutShapes(text: string): string {
  return redactKeys(text)
    .replaceAll(address, withoutCredentials)
    .replaceAll(tokens, '[redacted]')
    .replaceAll(mail, '[e-mail]')
}

function piecesOf(secrets: Known['secrets']): ReadonlySet<string> {
  const pieces = new Set<string>()
  for (const secret of secrets) {
    const whole = typeof secret === 'string' ? secret : secret.reveal()
    // What all keys of a kind begin with is no secret, and stands in sentences.
    const own = whole.trim().replace(/^sk-(?:proj-|svcacct-|service-|admin-)?/, '')
    if (own.length < secretCharsMin) continue
    const length = Math.min(windowChars, own.length)
    for (let at = 0; at + length <= own.length; at += 1) pieces.add(own.slice(at, at + length))
  }
  return pieces
}

function withoutPieces(text: string, pieces: ReadonlySet<string>): string {
  const lengths = new Set([...pieces].map(({ length }) => length))
  const covered = new Uint8Array(text.length)
  for (const length of lengths)
    for (let at = 0; at + length <= text.length; at += 1)
      if (pieces.has(text.slice(at, at + length))) covered.fill(1, at, at + length)
  let result = ''
  for (let at = 0; at < text.length; at += 1) {
    if (covered[at] === 0) result += text.charAt(at)
    else if (at === 0 || covered[at - 1] === 0) result += '[redacted]'
  }
  return result
}

function wholeWord(name: string): RegExp {
  return new RegExp(`(?<![\\w-])${literally(name)}(?![\\w-])`, 'gi')
}

function literally(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
}

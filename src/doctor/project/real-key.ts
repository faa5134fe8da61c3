import { inspectKeyShape } from '../../core/key-inspection.ts'
import { Secret } from '../../core/secret.ts'

export interface FoundKey {
  /** In the text that was searched. */
  readonly start: number
  readonly secret: Secret
}

/** In one file; whoever has more has one cause. */
const keysMax = 20
const candidate = /(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{37,400}/g

/** Whatever in the text can hardly be anything but a key that somebody was given. */
export function realKeysIn(text: string): readonly FoundKey[] {
  if (!text.includes('sk-')) return []
  const found: FoundKey[] = []
  for (const match of text.matchAll(candidate)) {
    if (isRealKey(match[0])) found.push({ start: match.index, secret: new Secret(match[0]) })
    if (found.length >= keysMax) break
  }
  return found
}

const lengthMin = 40
const distinctMin = 16
const mark = Buffer.from('OpenAI').toString('base64')

/** By its prefix, its length, and because nobody would make it up: a made-up one repeats itself, counts, or says what it is. */
export function isRealKey(text: string): boolean {
  if (text.length < lengthMin) return false
  if (!/^(?:project|service_account|admin|legacy_user)$/.test(inspectKeyShape(text).kind)) return false
  const random = text.replace(/^sk-(?:proj-|svcacct-|service-|admin-)?/, '')
  if (/(.)\1{7}|example|placeholder|redacted|test-?key|key-?here|not-?real/i.test(random)) return false
  // Short words, and five equal letters, turn up in random text by chance: in one of 8,000 keys the latter. What has OpenAI's
  // mark in its middle is no invention.
  if (random.indexOf(mark) < 15 && /(.)\1{4}|fake|dummy|sample|your|xxxx/i.test(random)) return false
  return new Set(random).size >= distinctMin && !counts(random)
}

/** `abcdef`, `654321`: six in a row. */
function counts(text: string): boolean {
  let [up, down] = [1, 1]
  for (let at = 1; at < text.length; at += 1) {
    const step = text.charCodeAt(at) - text.charCodeAt(at - 1)
    up = step === 1 ? up + 1 : 1
    down = step === -1 ? down + 1 : 1
    if (up >= 6 || down >= 6) return true
  }
  return false
}

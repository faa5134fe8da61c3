import { assert } from '../core/errors.ts'
import { isRecord } from '../core/json.ts'
import { looksLikeKey } from '../core/key-shape.ts'
import type { Aftermath, CredentialEvent, CredentialState, Rotation } from '../core/types.ts'
import { corruptRow } from './sqlite-errors.ts'

/** A state is a few kilobytes; one of this size is a loop that forgot to trim. */
const jsonLengthMax = 1_000_000

/**
 * The only way into the ledger: it holds no secrets, so text that looks like one stops the write, with `internal`
 * because only a bug of ours can have put it there.
 */
export function withoutKey(text: string, what: string): string {
  assert(!looksLikeKey(text), `${what} holds nothing that looks like a key`)
  return withinLength(text, what)
}

export function withinLength(text: string, what: string): string {
  assert(text.length <= jsonLengthMax, `${what} is at most ${jsonLengthMax} characters long`)
  return text
}

export function toJson(value: object, what: string): string {
  return inOneByte(withoutKey(JSON.stringify(value), what))
}

/**
 * One typographic apostrophe makes a text take two bytes a letter in memory, and the whole state that it is joined to: to
 * write it then takes five times as long (7 and 36 us for 30 KB, Node 24, November 2026). JSON has escapes for such letters.
 */
function inOneByte(json: string): string {
  return json.replace(
    /[\u0100-\uffff]/g,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

export function parseState(text: string, name: string): CredentialState {
  const value = parseObject(text, name)
  const isState =
    value['name'] === name &&
    ['revision', 'fence', 'generation', 'nextStoreReadAt'].every((field) => Number.isFinite(value[field])) &&
    ['versions', 'retirements', 'openAttempts', 'automaticAt'].every((field) => Array.isArray(value[field]))
  if (!isState) throw corruptRow(name, 'is not the state of a credential')
  return value as unknown as CredentialState
}

export function parseEvent(text: string, name: string): CredentialEvent {
  const value = parseObject(text, name)
  const isEvent =
    value['credential'] === name && Number.isFinite(value['id']) && typeof value['kind'] === 'string'
  if (!isEvent) throw corruptRow(name, 'has an event that is none')
  return value as unknown as CredentialEvent
}

export function parseRotation(text: string, name: string): Rotation {
  const value = parseObject(text, name)
  const isRotation = value['credential'] === name && typeof value['id'] === 'string'
  if (!isRotation) throw corruptRow(name, 'has a rotation that is none')
  return value as unknown as Rotation
}

export function parseDocument(text: string, key: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw corruptRow(key, 'is no JSON', error)
  }
}

export function parseAftermath(text: string, name: string): Aftermath {
  const value = parseObject(text, name)
  const isKnown =
    (value['kind'] === 'retirement' && isRecord(value['retirement'])) ||
    (value['kind'] === 'sweep' && isRecord(value['sweep']))
  if (!isKnown) throw corruptRow(name, 'has an aftermath that is none')
  return value as unknown as Aftermath
}

function parseObject(text: string, name: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw corruptRow(name, 'is no JSON', error)
  }
  if (!isRecord(value)) throw corruptRow(name, 'is no JSON object')
  return value
}

import { randomBytes } from 'node:crypto'
import { makeKeyValue, type RandomBytes } from '../../src/sandbox/secrets.ts'

/**
 * Markers stand in the stored files where a key belongs, so that no file of this repository looks like a leak:
 * `{{kind:name|form}}`, where the name is by default the kind, and the form the value as it is. The same name gets
 * the same value all over a project.
 */
export interface Marker {
  readonly kind: MarkerKind
  readonly name: string
}

/** By name; see {@link fillMarkers}. */
export type Values = Readonly<Record<string, string>>

const legacyInfix = Buffer.from('OpenAI').toString('base64')

const makers = {
  key: (random) => makeKeyValue('user', random),
  service: (random) => makeKeyValue('service_account', random),
  admin: (random) => makeKeyValue('admin', random),
  legacy: (random) => `sk-${letters(20, random)}${legacyInfix}${letters(20, random)}`,
  anthropic: (random) => `sk-ant-api03-${letters(93, random)}AA`,
  azure: (random) => hex(16, random),
  organization: (random) => `org-${letters(24, random)}`,
  project: (random) => `proj_${letters(24, random)}`,
} satisfies Record<string, (random: RandomBytes) => string>

export type MarkerKind = keyof typeof makers

const forms: Readonly<Record<string, (value: string) => string>> = {
  /** As if the copy had ended early. */
  truncated: (value) => value.slice(0, 100),
  base64: (value) => Buffer.from(value).toString('base64'),
  /** What `echo KEY | base64` gives. */
  'base64-line': (value) => Buffer.from(`${value}\n`).toString('base64'),
}

const pattern = /\{\{([a-z]+)(?::([a-z0-9-]+))?(?:\|([a-z0-9-]+))?\}\}/g

/** What {@link Values} calls the value: organisations and projects are named apart from keys. */
export function valueName({ kind, name }: Marker): string {
  return kind === 'organization' || kind === 'project' ? `${kind}:${name}` : name
}

export function markersIn(text: string): readonly Marker[] {
  return [...text.matchAll(pattern)]
    .filter(([, kind]) => kind !== 'bytes')
    .map(([, kind, name]) => markerOf(kind, name))
}

/**
 * Replaces the markers of a text. `{{bytes:0d}}` becomes the bytes of the hexadecimal digits, for what an editor or
 * git would take away. Throws a TypeError that names an unknown kind or form, or a marker without a value.
 */
export function fillMarkers(text: string, values: Values): string {
  return text.replaceAll(pattern, (whole, kind: string, name?: string, form?: string) => {
    if (kind === 'bytes') return Buffer.from(name ?? '', 'hex').toString('utf8')
    const value = values[valueName(markerOf(kind, name))]
    if (value === undefined) throw new TypeError(`The marker ${whole} has no value.`)
    if (form === undefined) return value
    const shape = forms[form]
    if (shape === undefined) throw new TypeError(`The marker ${whole} has an unknown form.`)
    return shape(value)
  })
}

/** A new value in the shape that this kind has. */
export function makeValue(kind: MarkerKind, random: RandomBytes = (bytes) => randomBytes(bytes)): string {
  return makers[kind](random)
}

function markerOf(kind: string | undefined, name: string | undefined): Marker {
  if (kind === undefined || !(kind in makers)) throw new TypeError(`There is no marker {{${kind}}}.`)
  return { kind: kind as MarkerKind, name: name ?? kind }
}

function letters(count: number, random: RandomBytes): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
  return Array.from(random(count), (byte) => alphabet[byte % alphabet.length]).join('')
}

function hex(bytes: number, random: RandomBytes): string {
  return Buffer.from(random(bytes)).toString('hex')
}

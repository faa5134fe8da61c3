import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMap, isScalar, isSeq, parseDocument, visit } from 'yaml'
import { repository } from './builder.ts'

/** What the compose files of this repository use of a service. */
export interface Service {
  readonly image: string
  readonly user: string
  readonly entrypoint?: readonly string[]
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly volumes?: readonly string[]
  readonly secrets?: readonly string[]
  readonly tmpfs?: readonly string[]
  readonly ports?: readonly string[]
  readonly network_mode?: string
  readonly read_only?: boolean
  readonly cap_drop?: readonly string[]
  readonly security_opt?: readonly string[]
  readonly pids_limit?: number
  readonly ulimits?: { readonly core?: number }
  readonly healthcheck?: { readonly test: readonly string[] }
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly [key: string]: unknown
}

export interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly secrets: Readonly<Record<string, { readonly file: string }>>
  readonly volumes: Readonly<Record<string, unknown>>
}

/** What a key of a later file does to that of an earlier one, where it is not merged. */
class Instead {
  readonly value: unknown
  constructor(value: unknown) {
    this.value = value
  }
}

/** The compose files as Docker Compose reads them together: merged in their order, with variables put in. */
export function readCompose(files: readonly string[], variables: Readonly<Record<string, string>>): Compose {
  const parts = files.map((file) => parsed(readFileSync(join(repository, file), 'utf8')))
  const whole = parts.reduce((before, next) => merged(before, next))
  return interpolated(whole, variables) as Compose
}

function parsed(text: string): unknown {
  const document = parseDocument(text, {
    merge: true,
    customTags: ['!reset', '!override'].map((tag) => ({ tag, collection: 'seq', resolve: (value) => value })),
  })
  if (document.errors.length > 0) throw document.errors[0]
  const instead = new Set<string>()
  visit(document, {
    Pair(_key, pair, path) {
      const tag = isSeq(pair.value) || isMap(pair.value) || isScalar(pair.value) ? pair.value.tag : undefined
      if (tag === '!reset' || tag === '!override')
        instead.add(
          [...path.flatMap((one) => ('key' in one ? [String(one.key)] : [])), String(pair.key)].join('.'),
        )
    },
  })
  const mark = (value: unknown, path: string): unknown => {
    if (instead.has(path)) return new Instead(value)
    if (!isRecord(value)) return value
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [key, mark(inner, path === '' ? key : `${path}.${key}`)]),
    )
  }
  return mark(document.toJS(), '')
}

function merged(before: unknown, next: unknown): unknown {
  if (next instanceof Instead) return next.value
  if (Array.isArray(before) && Array.isArray(next)) return [...before, ...next]
  if (!isRecord(before) || !isRecord(next)) return unmarked(next)
  const keys = new Set([...Object.keys(before), ...Object.keys(next)])
  return Object.fromEntries(
    [...keys].map((key) => [key, key in next ? merged(before[key], next[key]) : before[key]]),
  )
}

function unmarked(value: unknown): unknown {
  if (value instanceof Instead) return value.value
  if (!isRecord(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, unmarked(inner)]))
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Instead)
}

/** `${NAME:-default}`, `${NAME:?what to do}`, and `$$`, which is a dollar. */
function interpolated(value: unknown, variables: Readonly<Record<string, string>>): unknown {
  if (typeof value === 'string')
    return value.replaceAll(/\$\$|\$\{(\w+)(?::([-?])([^}]*))?\}/g, (all, name, operator, rest) => {
      if (all === '$$') return '$'
      const set = variables[name] ?? ''
      if (set !== '' || operator === '-') return set === '' ? rest : set
      throw new Error(`${name}: ${rest ?? 'it is not set'}`)
    })
  if (Array.isArray(value)) return value.map((one) => interpolated(one, variables))
  if (!isRecord(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, interpolated(one, variables)]))
}

import { fingerprint as fingerprintOf } from '../../core/fingerprint.ts'
import { inspectSecret } from '../../core/key-inspection.ts'
import type { Hash } from '../../core/ports.ts'
import type { Fingerprint } from '../../core/types.ts'
import type { Check } from '../check.ts'
import type { Facts } from '../facts.ts'
import { describePlace, type Finding, type Place } from '../finding.ts'

/** Where a key is kept, and for which app and environment, as far as the name of the place tells. */
interface Holding {
  readonly place: Place
  readonly fingerprint: Fingerprint
  readonly purpose: Purpose
}

type Purpose =
  | { readonly kind: 'credential'; readonly name: string }
  | { readonly kind: 'file'; readonly folder: string; readonly environment: string }

/** T33: one key in several environments, apps or credentials, which all stop with it. */
export const shared: Check = {
  name: 'shared keys',
  needsNetwork: false,
  async run(facts, { system }) {
    const holders = new Map<Fingerprint, Holding[]>()
    for (const one of holdingsOf(facts, system))
      holders.set(one.fingerprint, [...(holders.get(one.fingerprint) ?? []), one])
    return [...holders.values()].flatMap(findingOf)
  },
}

function findingOf(all: readonly Holding[]): readonly Finding[] {
  const apart = all.filter((one) => all.some((other) => isApart(one.purpose, other.purpose)))
  const [, second] = apart
  if (second === undefined) return []
  const { fingerprint, place } = second
  return [
    {
      code: 'key_shared',
      severity: 'warning',
      seen: `the key ${fingerprint} is in ${apart.map((one) => describePlace(one.place)).join(' and in ')}`,
      cause: 'One leak, one limit or one revocation stops all of them, and their usage cannot be told apart.',
      fix: 'Make one project and one key for each: https://platform.openai.com/settings/organization/projects',
      place,
      fingerprint,
    },
  ]
}

/** A credential may well be read from the .env that the app reads too, and an app's .env lie beside that of all. */
function isApart(one: Purpose, other: Purpose): boolean {
  if (one.kind === 'credential') return other.kind === 'credential' && one.name !== other.name
  if (other.kind === 'credential') return false
  const isInside = one.folder.startsWith(other.folder) || other.folder.startsWith(one.folder)
  return !isInside || one.environment !== other.environment
}

function holdingsOf({ keys, keyturn }: Facts, hash: Hash): readonly Holding[] {
  const holdings: Holding[] = []
  for (const { place, text } of keys) {
    const purpose = place.kind === 'file' ? purposeOf(place.path) : undefined
    if (purpose === undefined || inspectSecret(text).core === 'placeholder') continue
    holdings.push({ place, fingerprint: fingerprintOf(text, hash), purpose })
  }
  for (const { name, store, stored } of keyturn?.credentials ?? []) {
    if (stored.kind !== 'found') continue
    const print = fingerprintOf(stored.secret, hash)
    const place = { kind: 'credential', name, store } as const
    holdings.push({ place, fingerprint: print, purpose: { kind: 'credential', name } })
  }
  return holdings
}

/** `.env.production`, `api/production.env`: the app by its folder, the environment by the name. Of other files nothing is concluded. */
function purposeOf(path: string): Purpose | undefined {
  const [, folder = '', name = ''] = /^(.*?)([^/]*)$/.exec(path) ?? []
  const suffix = /^\.env(?:\.(.+))?$/.exec(name)
  const stem = /^([\w-]+)\.env$/.exec(name)
  if (suffix === null && stem === null) return undefined
  const words = (suffix?.[1] ?? stem?.[1] ?? '').toLowerCase().split('.')
  if (words.some((word) => templates.includes(word))) return undefined
  const named = words.map((word) => environments[word]).find((environment) => environment !== undefined)
  return { kind: 'file', folder, environment: named ?? 'development' }
}

const templates: readonly string[] = ['example', 'sample', 'template', 'dist', 'default', 'defaults']

/** What has another name is taken for the machine of a developer, tests too. */
const environments: Readonly<Record<string, string>> = {
  prod: 'production',
  production: 'production',
  live: 'production',
  stage: 'staging',
  staging: 'staging',
  preview: 'preview',
  qa: 'qa',
}

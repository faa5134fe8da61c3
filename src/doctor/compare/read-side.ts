import { parseEnv } from 'node:util'
import { KeyturnError } from '../../core/errors.ts'
import { fingerprint as fingerprintOf } from '../../core/fingerprint.ts'
import { fieldOf, parseJson } from '../../core/json.ts'
import { inspectSecret } from '../../core/key-inspection.ts'
import { redactKeys } from '../../core/key-shape.ts'
import type { Hash } from '../../core/ports.ts'
import { Secret } from '../../core/secret.ts'
import type { Facts, KeyturnCredential } from '../facts.ts'
import { withoutCredentials } from '../report.ts'
import type { ComparePlace } from './places.ts'

/** What one place has, without the key itself. */
export interface Side {
  readonly fingerprint: string | null
  readonly kind: string | null
  readonly stage: string | null
  readonly organization: string | null
  readonly project: string | null
  readonly baseUrl: string | null
}

export interface SideSources {
  readonly facts: Facts
  readonly hash: Hash
  /** The text of a file; undefined where there is none. Paths may be relative to where the command was given. */
  readonly readFile: (path: string) => string | undefined
  /** Runs a program without a shell, for at most ten seconds. */
  readonly run: (program: string, args: readonly string[]) => Promise<Ran>
}

export type Ran =
  | { readonly kind: 'ended'; readonly code: number; readonly out: string; readonly err: string }
  /** There is no such program, or it took too long. */
  | { readonly kind: 'failed'; readonly reason: string }

/** Looks at the place. Throws a KeyturnError where that could not be done. */
export async function readSide(place: ComparePlace, sources: SideSources): Promise<Side> {
  switch (place.kind) {
    case 'env-file':
      return ofVariables(parseEnv(textOf(place.path, sources)), sources)
    case 'json':
      return ofReport(textOf(place.path, sources))
    case 'store':
      return ofStore(credentialOf(place.credential, sources), sources)
    case 'service':
      return ofService(credentialOf(place.credential, sources))
    case 'docker':
      return ofProgram(place, ['docker', 'exec', place.container, 'printenv'], sources)
    case 'k8s':
      return ofProgram(
        place,
        [
          'kubectl',
          'exec',
          '--namespace',
          place.namespace,
          `deployment/${place.deployment}`,
          '--',
          'printenv',
        ],
        sources,
      )
  }
}

function textOf(path: string, { readFile }: SideSources): string {
  const text = readFile(path)
  if (text !== undefined) return text
  throw new KeyturnError('file_unusable', `there is no file ${path}`, {
    fix: 'Correct the path of --compare.',
  })
}

function ofVariables(
  variables: Readonly<Record<string, string | undefined>>,
  { hash, facts }: SideSources,
): Side {
  const text = variables['OPENAI_API_KEY'] ?? ''
  const key = text === '' ? undefined : new Secret(text)
  const print = key === undefined ? null : fingerprintOf(key, hash)
  return {
    fingerprint: print,
    kind: key === undefined ? null : inspectSecret(key).kind,
    stage: stageOf(print, facts),
    organization: told(variables['OPENAI_ORG_ID']),
    project: told(variables['OPENAI_PROJECT_ID']),
    baseUrl: told(variables['OPENAI_BASE_URL']),
  }
}

/** Where the service knows the key: whether it is the one that it hands out, or one before it. */
export function stageOf(print: string | null, { keyturn }: Pick<Facts, 'keyturn'>): string | null {
  const versions = (keyturn?.credentials ?? []).flatMap(({ status }) => status?.versions ?? [])
  return versions.find((one) => one.fingerprint === print)?.stage ?? null
}

function credentialOf(name: string, { facts }: SideSources): KeyturnCredential {
  const all = facts.keyturn?.credentials ?? []
  const found = all.find((one) => one.name === name)
  if (found !== undefined) return found
  throw new KeyturnError('not_found', `there is no credential named '${redactKeys(name)}'`, {
    fix:
      all.length === 0
        ? 'Run it where a keyturn.yaml is, or set KEYTURN_URL to a running service.'
        : `There are: ${all.map((one) => one.name).join(', ')}.`,
  })
}

function ofStore(
  { stored, expectation, baseUrl, name }: KeyturnCredential,
  { hash, facts }: SideSources,
): Side {
  if (stored.kind === 'failed') throw stored.error
  if (stored.kind === 'unread')
    throw new KeyturnError('store_unreachable', `the store of ${name} was not asked`, {
      fix: 'Leave --offline out, and run it where the keyturn.yaml is.',
    })
  const print = stored.kind === 'found' ? fingerprintOf(stored.secret, hash) : null
  return {
    fingerprint: print,
    kind: stored.kind === 'found' ? inspectSecret(stored.secret).kind : null,
    stage: stageOf(print, facts),
    organization: expectation.organization ?? null,
    project: expectation.project ?? null,
    baseUrl: told(baseUrl),
  }
}

function ofService({ name, status, baseUrl }: KeyturnCredential): Side {
  if (status === undefined)
    throw new KeyturnError('service_unreachable', `no service was asked for ${name}`, {
      fix: 'Set KEYTURN_URL to where it runs, and KEYTURN_TOKEN_FILE to a token that may read.',
    })
  const { current } = status
  return {
    fingerprint: current?.fingerprint ?? null,
    kind: null,
    stage: current?.stage ?? null,
    organization: current?.organization ?? null,
    project: current?.project ?? null,
    baseUrl: told(baseUrl),
  }
}

async function ofProgram(
  { name }: ComparePlace,
  [program, ...args]: readonly [string, ...string[]],
  sources: SideSources,
): Promise<Side> {
  const ran = await sources.run(program, args)
  if (ran.kind === 'ended' && ran.code === 0) return ofVariables(linesOf(ran.out), sources)
  const reason = ran.kind === 'failed' ? ran.reason : `it ended with ${ran.code}: ${lastLine(ran.err)}`
  throw new KeyturnError('not_found', `${program} could not look into ${name}: ${reason}`, {
    fix: `See what it says itself: ${[program, ...args].join(' ').replace(/printenv$/, 'true')}`,
  })
}

const names = ['OPENAI_API_KEY', 'OPENAI_ORG_ID', 'OPENAI_PROJECT_ID', 'OPENAI_BASE_URL']

/** Of the whole environment these four; the rest is nobody's business. */
function linesOf(text: string): Readonly<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const line of text.split('\n')) {
    const at = line.indexOf('=')
    const name = line.slice(0, at)
    if (at > 0 && names.includes(name)) found[name] = line.slice(at + 1)
  }
  return found
}

const toldMax = 200

/** Programs come to the point at the end. */
function lastLine(text: string): string {
  return redactKeys(text.trim().split('\n').at(-1)?.slice(0, toldMax) ?? '')
}

function told(text: string | null | undefined): string | null {
  const shown = withoutCredentials(redactKeys((text ?? '').trim().slice(0, toldMax)))
  return shown === '' ? null : shown
}

// ---------------------------------------------------------- another machine

function ofReport(text: string): Side {
  const report = parseJson(text)
  if (fieldOf(report, 'schemaVersion') !== 1)
    throw new KeyturnError('bad_request', 'this is no report of keyturn doctor', {
      fix: 'Make one on the other machine: keyturn doctor --json > there.json',
    })
  const key = fieldOf(report, 'key')
  const proven = fieldOf(report, 'proven')
  const setting = (name: string): string | null => textField(fieldOf(report, name), 'value')
  const print = textField(key, 'fingerprint')
  return {
    fingerprint: print !== null && /^[0-9a-f]{12}$/.test(print) ? print : null,
    kind: textField(key, 'kind'),
    stage: null,
    organization: textField(proven, 'organization') ?? setting('organization'),
    project: textField(proven, 'project') ?? setting('project'),
    baseUrl: setting('baseUrl'),
  }
}

function textField(value: unknown, name: string): string | null {
  const text = fieldOf(value, name)
  return typeof text === 'string' ? told(text) : null
}

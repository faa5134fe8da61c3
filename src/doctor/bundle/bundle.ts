import type { Facts } from '../facts.ts'
import type { RecordedCall } from '../recorder.ts'
import { type DoctorReport, withoutCredentials } from '../report.ts'
import { createScrub } from './scrub.ts'

/** What support needs to know, and nothing that it must not. */
export interface SupportBundle {
  readonly kind: 'keyturn-support-bundle'
  readonly schemaVersion: 1
  readonly versions: Readonly<Record<string, string | null>>
  /** Names of the variables that are set and concern OpenAI or Keyturn; no values. */
  readonly variables: readonly string[]
  /** Without user and password. */
  readonly proxies: Readonly<Record<string, string>>
  /** Each call with status, code, request id, headers and time. */
  readonly calls: readonly RecordedCall[]
  /** Credentials as Keyturn tells them. */
  readonly credentials: readonly object[]
  readonly report: DoctorReport
}

export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly versions: SupportBundle['versions']
  readonly home: string
  /** Of the user, the machine. */
  readonly names: readonly string[]
}

/** Put together, then scrubbed as a whole: whatever is added to it later is scrubbed as well. */
export function bundleOf(
  {
    report,
    calls,
    facts,
  }: { readonly report: DoctorReport; readonly calls: readonly RecordedCall[]; readonly facts: Facts },
  { env, versions, home, names }: Surroundings,
): SupportBundle {
  const scrub = createScrub({ secrets: secretsOf(facts, env), home, names })
  return scrub<SupportBundle>({
    kind: 'keyturn-support-bundle',
    schemaVersion: 1,
    versions,
    variables: Object.keys(env)
      .filter((name) => concerned.test(name) && (env[name] ?? '') !== '')
      .toSorted((left, right) => left.localeCompare(right)),
    proxies: Object.fromEntries(
      Object.entries(env)
        .filter(([name, value]) => proxyNames.test(name) && (value ?? '') !== '')
        .map(([name, value = '']) => [name, proxyShown(value)]),
    ),
    calls,
    credentials: (facts.keyturn?.credentials ?? []).map(({ name, store, stored, status }) => ({
      name,
      store,
      stored: stored.kind === 'failed' ? stored.error.code : stored.kind,
      generation: status?.generation ?? null,
      verdict: status?.current?.check ?? null,
      rotatesAt: status?.rotatesAt ?? null,
      troubles: status?.troubles ?? null,
    })),
    report,
  })
}

const concerned = /OPENAI|KEYTURN|PROXY|SSL_CERT|NODE_EXTRA_CA|REQUESTS_CA/i
const proxyNames = /^(?:https?|all|no)_proxy$/i

/** Proxies are often named without a scheme, and then with their password all the same. */
function proxyShown(value: string): string {
  return value.includes('://') ? withoutCredentials(value) : value.replace(/^.*@/, '')
}

const secretNames = /KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH|COOKIE|DSN|_URL$|_URI$|PROXY/i

function secretsOf(facts: Facts, env: Surroundings['env']): Parameters<typeof createScrub>[0]['secrets'] {
  const ofEnvironment = Object.entries(env)
    .filter(([name]) => secretNames.test(name))
    .flatMap(([, value = '']) => secretsIn(value))
  const ofFiles = facts.dotenv
    .flatMap(({ variables }) => variables)
    .filter(({ name }) => secretNames.test(name) && !/_(?:URL|URI|PROXY)$/i.test(name))
    .flatMap(({ text, meant }) => [text, meant])
  const ofStores = (facts.keyturn?.credentials ?? []).flatMap(({ stored }) =>
    stored.kind === 'found' ? [stored.secret] : [],
  )
  const own = facts.key === undefined ? [] : [facts.key.text]
  return [...ofEnvironment, ...ofFiles, ...ofStores, ...own, ...facts.keys.map(({ text }) => text)]
}

/** Of an address the password, a path not at all, of anything else all of it. */
function secretsIn(value: string): readonly string[] {
  if (value.startsWith('/')) return []
  const login = /^(?:[a-z][a-z0-9+.-]*:\/\/)?([^/@\s]*):([^/@\s]*)@/i.exec(value)
  if (login !== null) return [decoded(login[2] ?? ''), login[2] ?? '']
  return URL.canParse(value) ? [] : [value]
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

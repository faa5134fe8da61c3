import type { Belonging, Fingerprint, Verdict } from '../../core/types.ts'
import { type FindingCode, findingKinds } from '../catalogue.ts'
import type { Setting } from '../facts.ts'
import { describePlace, type Finding, type Place } from '../finding.ts'
import { shellWord } from '../shell-word.ts'
import { codeOfCause } from './causes.ts'
import type { Known } from './known-credential.ts'
import { proxyInWords } from './layer-findings.ts'
import type { Way } from './layers.ts'
import type { Shown } from './shown.ts'

/** What surrounds a verdict, for its words. */
export interface Told {
  readonly way: Way
  readonly shown: Shown
  /** Where the key stands. */
  readonly place: Place
  readonly fingerprint: Fingerprint
  readonly known: Known | undefined
  readonly sentOrganization: Setting | undefined
  readonly sentProject: Setting | undefined
  readonly missingScopes: readonly string[]
  /** Whom the key answers for without the headers that were refused, where that was asked. */
  readonly own?: Belonging | undefined
  /** What the same call came to without the proxy. */
  readonly straight?: Verdict | undefined
  /** Figures of the rate limits, where there are any. */
  readonly figures?: string | undefined
  /** What was asked; default: the list of models. */
  readonly asked?: string
  /** Who answered in the issuer's place. */
  readonly who?: string | undefined
}

interface Words {
  readonly seen?: string
  readonly cause?: string
  readonly fix?: string
  readonly place?: Place
}

const keysPage = 'https://platform.openai.com/api-keys'

/** The finding of a verdict, or undefined where there is nothing to tell. */
export function verdictFinding(verdict: Verdict, told: Told): Finding | undefined {
  const usual = codeOfCause[verdict.cause]
  if (usual === undefined || usual === null) return undefined
  const code = usual === 'key_unknown' ? deadKeyCode(told) : usual
  const words: Words = wordsOf[code]?.(verdict, told) ?? {}
  const seen = `${answerOf(verdict, told)}${words.seen === undefined ? '' : ` ${words.seen}`}`
  const requestId = verdict.requestId === undefined ? undefined : told.shown(verdict.requestId)
  return {
    code,
    severity: findingKinds[code].severity,
    seen,
    cause: words.cause ?? verdict.summary,
    fix: words.fix ?? verdict.fix,
    place: words.place ?? told.place,
    fingerprint: told.fingerprint,
    ...(requestId === undefined ? {} : { requestId }),
  }
}

function answerOf({ status, code }: Verdict, { way, shown, asked = 'GET /models' }: Told): string {
  const [method = '', path = ''] = asked.split(' ')
  const what = `${method} ${way.target.baseUrl}${path} with the key`
  if (status === undefined) return `No whole answer to ${what}.`
  return `HTTP ${status}${code === undefined ? '' : `, code ${shown(code)}`}, in answer to ${what}.`
}

/** The same 401 for a key that never was and for one that is dead: what is known of it tells them apart. */
function deadKeyCode({ known }: Told): FindingCode {
  if (known?.isIts !== true) return 'key_unknown'
  return known.verifiedAt === undefined ? 'key_unknown' : 'key_revoked'
}

const wordsOf: Partial<Record<FindingCode, (verdict: Verdict, told: Told) => Words>> = {
  key_unknown: (_verdict, { place }) => ({
    cause: 'OpenAI knows no such key: it was mistyped, cut off, deleted, or disabled after a leak.',
    fix: `Copy a key from ${keysPage} again, whole, into ${describePlace(place)}`,
  }),
  key_revoked: (_verdict, { known }) => ({
    seen: `It last proved good at ${instantOf(known?.verifiedAt)}.`,
    cause: 'The key worked and was revoked since: deleted by somebody, or disabled by OpenAI after a leak.',
    fix: `keyturn rotate ${known?.credential.name ?? ''} --emergency`,
  }),
  key_expired: (_verdict, { known }) => ({
    ...(known?.expiresAt === undefined ? {} : { seen: `It expired at ${instantOf(known.expiresAt)}.` }),
    cause: 'The key has expired.',
    fix:
      known?.isIts === true
        ? `keyturn rotate ${known.credential.name}`
        : `Make a new key with a longer expiry at ${keysPage}`,
  }),
  scope_missing: (verdict, { missingScopes, shown }) => {
    const missing = [...new Set([...(verdict.missingScopes ?? []), ...missingScopes])].map(shown).join(', ')
    return {
      seen: `Missing: ${missing === '' ? 'not told which' : missing}.`,
      cause: 'The key is genuine, and is not allowed what the program needs.',
      fix: `Grant ${missing === '' ? 'the permission' : missing} to the key at ${keysPage} (Edit, Permissions), or its role in the project`,
    }
  },
  organization_wrong: (verdict, told) =>
    headerWords(verdict, told, {
      setting: told.sentOrganization,
      name: 'OPENAI_ORG_ID',
      own: told.own?.organization,
      what: 'organisation',
    }),
  project_wrong: (verdict, told) =>
    headerWords(verdict, told, {
      setting: told.sentProject,
      name: 'OPENAI_PROJECT_ID',
      own: told.own?.project,
      what: 'project',
    }),
  address_not_allowed: () => ({
    fix: 'curl -s https://checkip.amazonaws.com # add that address at https://platform.openai.com/settings/organization/security (IP allowlist)',
  }),
  rate_limited: (verdict, { figures }) => ({
    seen: [
      ...(verdict.retryAfterMs === undefined
        ? []
        : [`Retry after ${Math.ceil(verdict.retryAfterMs / 1_000)} s.`]),
      ...(figures === undefined ? [] : [figures]),
    ].join(' '),
    fix: 'Back off and retry; for a higher tier see https://platform.openai.com/settings/organization/limits',
  }),
  authorization_stripped: (_verdict, { way: { proxy }, straight }) => ({
    seen:
      proxy === undefined
        ? 'No proxy is named in the environment.'
        : `${proxyInWords(proxy)} is in force.${straightWords(straight)}`,
    fix:
      proxy === undefined
        ? 'Look for a gateway, a service mesh or a firewall on the way out, and let Authorization pass'
        : `unset ${proxy.variable} # or let the proxy pass the Authorization header`,
    ...(proxy === undefined ? {} : { place: { kind: 'variable', name: proxy.variable } as const }),
  }),
  foreign_answer: (_verdict, { who, way }) => ({
    ...(who === undefined ? {} : { seen: `Who answers: ${who}.` }),
    fix: `curl -v ${shellWord(`${way.target.baseUrl}/models`)}`,
    place: { kind: 'address', url: way.target.url.origin },
  }),
  openai_failing: () => ({
    cause: 'OpenAI itself fails, and did not look at the key.',
    fix: 'Wait, and look at https://status.openai.com',
  }),
  timed_out: (_verdict, { way }) => ({
    cause: 'Somebody takes the request and gives no whole answer in time.',
    fix: `curl -v --max-time 30 ${shellWord(`${way.target.baseUrl}/models`)}`,
    place: { kind: 'address', url: way.target.url.origin },
  }),
  base_url_wrong: (_verdict, { way }) => ({
    fix: 'Set OPENAI_BASE_URL to the address that ends where /models begins, mostly in /v1',
    place: way.target.place ?? { kind: 'address', url: way.target.url.origin },
  }),
}

function headerWords(
  verdict: Verdict,
  { shown }: Told,
  about: {
    readonly setting: Setting | undefined
    readonly name: string
    readonly own: string | undefined
    readonly what: string
  },
): Words {
  const { setting, name, own, what } = about
  const right = own === undefined ? undefined : shown(own)
  const where =
    setting === undefined
      ? `No ${what} was sent.`
      : `${shown(setting.value)} was sent, from ${describePlace(setting.place)}.`
  return {
    seen: `${where}${right === undefined ? '' : ` The key answers for ${right}.`}`,
    cause: verdict.summary,
    fix: right === undefined ? `unset ${name}` : `export ${name}=${right}`,
    ...(setting === undefined ? {} : { place: setting.place }),
  }
}

function straightWords(straight: Verdict | undefined): string {
  if (straight === undefined) return ''
  if (straight.kind === 'unknown')
    return ` Without it: ${straight.cause === 'authorization_stripped' ? 'the same' : 'no answer'}.`
  return ' Without it the key arrives.'
}

function instantOf(at: number | undefined): string {
  return at === undefined ? 'a time that is not known' : new Date(at).toISOString()
}

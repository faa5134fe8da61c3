import type { Severity } from './finding.ts'

export interface FindingKind {
  /** The cause's row in docs/troubleshooting.md; several kinds may share one. */
  readonly row: string
  /** The usual one; a finding may be milder where it saw less. */
  readonly severity: Severity
  /** A few words, as a heading. */
  readonly title: string
}

/**
 * Every kind of finding. The codes are stable: scripts and code scanning remember them. docs/troubleshooting.md has a
 * section for each, and a test keeps the two equal.
 */
export const findingKinds = {
  key_missing: { row: 'T01', severity: 'error', title: 'no key anywhere' },
  variable_misnamed: { row: 'T02', severity: 'error', title: 'the key is under another name' },
  key_placeholder: { row: 'T03', severity: 'error', title: 'a placeholder in place of the key' },
  key_stray_characters: { row: 'T04', severity: 'error', title: 'characters that do not belong to the key' },
  key_cut_off: { row: 'T05', severity: 'error', title: 'a key that is too short or too long' },
  key_unknown: { row: 'T05', severity: 'error', title: 'OpenAI does not know the key' },
  key_of_other_provider: { row: 'T06', severity: 'error', title: "another provider's key" },
  key_of_other_kind: { row: 'T06', severity: 'error', title: 'an admin key where models are called' },
  key_revoked: { row: 'T07', severity: 'error', title: 'a key that worked and was revoked' },
  key_expired: { row: 'T08', severity: 'error', title: 'an expired key' },
  account_blocked: { row: 'T09', severity: 'error', title: 'the account is shut out' },
  organization_wrong: { row: 'T10', severity: 'error', title: "not the key's organisation" },
  project_wrong: { row: 'T11', severity: 'error', title: "not the key's project" },
  scope_missing: { row: 'T12', severity: 'error', title: 'a permission is missing' },
  model_denied: { row: 'T13', severity: 'error', title: 'no access to the model' },
  address_not_allowed: { row: 'T14', severity: 'error', title: 'this IP address is not allowed' },
  region_unsupported: { row: 'T15', severity: 'error', title: 'this country is not supported' },
  rate_limited: { row: 'T16', severity: 'warning', title: 'rate limited' },
  quota_exhausted: { row: 'T17', severity: 'error', title: 'no credit or quota left' },
  billing_inactive: { row: 'T18', severity: 'error', title: 'billing is not active' },
  authorization_stripped: { row: 'T19', severity: 'error', title: 'the Authorization header is taken away' },
  foreign_answer: { row: 'T20', severity: 'error', title: 'somebody else answers for OpenAI' },
  dns_failed: { row: 'T21', severity: 'error', title: 'the name is not resolved' },
  connect_failed: { row: 'T21', severity: 'error', title: 'no connection' },
  proxy_failed: { row: 'T21', severity: 'error', title: 'the proxy lets nothing through' },
  tls_failed: { row: 'T21', severity: 'error', title: 'TLS fails' },
  timed_out: { row: 'T21', severity: 'error', title: 'no answer in time' },
  openai_failing: { row: 'T22', severity: 'error', title: 'OpenAI itself is failing' },
  clock_skewed: { row: 'T23', severity: 'warning', title: 'the clock is wrong' },
  base_url_wrong: { row: 'T24', severity: 'error', title: 'the wrong base URL' },
  address_unconfirmed: { row: 'T24', severity: 'warning', title: 'the key was not sent to this address' },
  dotenv_not_loaded: { row: 'T25', severity: 'error', title: 'a .env that nobody loads' },
  dotenv_elsewhere: { row: 'T25', severity: 'error', title: 'the .env is in another folder' },
  dotenv_malformed: { row: 'T25', severity: 'error', title: 'a line of .env that is not read as meant' },
  dotenv_duplicate: { row: 'T25', severity: 'warning', title: 'the same variable twice' },
  key_differs: { row: 'T26', severity: 'warning', title: 'two places hold different keys' },
  image_holds_key: { row: 'T27', severity: 'error', title: 'a key in an image' },
  compose_variable_empty: { row: 'T27', severity: 'error', title: 'compose passes an empty variable' },
  config_map_holds_key: { row: 'T28', severity: 'error', title: 'a key in a ConfigMap' },
  secret_reference_missing: { row: 'T28', severity: 'error', title: 'a Secret or key that is not there' },
  key_in_source: { row: 'T29', severity: 'error', title: 'a key in the source' },
  key_in_browser: { row: 'T29', severity: 'error', title: 'a key that browsers get' },
  key_in_repository: { row: 'T29', severity: 'error', title: 'a key in a committed file' },
  platform_variable_missing: { row: 'T30', severity: 'error', title: 'the platform does not set the key' },
  client_outdated: { row: 'T31', severity: 'warning', title: 'an outdated client library' },
  client_in_browser: { row: 'T31', severity: 'warning', title: 'the key goes to browsers' },
  client_overrides_key: { row: 'T31', severity: 'error', title: 'the source overrides the key' },
  rotation_overdue: { row: 'T32', severity: 'warning', title: 'a key older than its policy' },
  rotation_halted: { row: 'T32', severity: 'error', title: 'a rotation that halted' },
  key_shared: { row: 'T33', severity: 'warning', title: 'one key in several places' },
  store_denied: { row: 'T34', severity: 'error', title: 'the store refuses' },
  store_absent: { row: 'T34', severity: 'error', title: 'no such secret in the store' },
  store_disabled: { row: 'T34', severity: 'error', title: 'the secret is disabled' },
  store_unreachable: { row: 'T34', severity: 'error', title: 'the store does not answer' },
  store_malformed: { row: 'T34', severity: 'error', title: 'the secret cannot be read' },
  key_foreign: { row: 'T35', severity: 'error', title: "a good key of somebody else's account" },
  rate_limit_near: { row: 'T36', severity: 'warning', title: 'the rate limit is near' },
  spend_limit_near: { row: 'T36', severity: 'warning', title: 'the spend limit is near' },
  launch_without_variable: { row: 'T37', severity: 'error', title: 'started without the variable' },
  dotenv_too_late: { row: 'T38', severity: 'error', title: '.env is loaded too late' },
  dotenv_overridden: { row: 'T38', severity: 'warning', title: '.env and environment differ' },
  account_variable_misnamed: {
    row: 'T39',
    severity: 'warning',
    title: 'organisation or project under another name',
  },
  model_retired: { row: 'T40', severity: 'error', title: 'a model that is gone' },
  model_retiring: { row: 'T40', severity: 'warning', title: 'a model that ends soon' },
  endpoint_retired: { row: 'T40', severity: 'error', title: 'an endpoint that is gone' },
  refusal_unclear: { row: 'T22', severity: 'error', title: 'OpenAI refuses for a reason not known here' },
  // Of Keyturn itself.
  config_invalid: { row: 'K01', severity: 'error', title: "Keyturn's configuration is wrong" },
  stores_unasked: {
    row: 'K03',
    severity: 'note',
    title: 'stores that only the project names were not asked',
  },
  service_unreachable: { row: 'K02', severity: 'error', title: 'the Keyturn service does not answer' },
} as const satisfies Readonly<Record<string, FindingKind>>

export type FindingCode = keyof typeof findingKinds

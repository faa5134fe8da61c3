import { KeyturnError } from '../core/errors.ts'
import type { Secret } from '../core/secret.ts'
import { checkedBaseUrl } from './openai-wire.ts'

/** What an issuer needs that speaks the API of OpenAI and does not mint. */
export interface OpenAIAddress {
  /** Default https://api.openai.com/v1. HTTPS except on loopback, else `config_invalid`. */
  readonly baseUrl?: string
  /** For one whole call of the port, in milliseconds. 100 to 60,000, default 5,000. */
  readonly timeoutMs?: number
  /** Sent with probes where the expectation names none. */
  readonly organization?: string
  readonly project?: string
}

export interface OpenAIIssuerOptions extends OpenAIAddress {
  /** Asked for at every administrative call, so that a turned admin key is used at once. Absent: cannot mint. */
  readonly adminKey?: () => Promise<Secret>
  /** The project that keys are minted in (`proj_…`). Absent: cannot mint. The Default project holds no service accounts. */
  readonly projectId?: string
  /** The stable service account (`svc_acct_…`) that gets every new key, in the mode `service_account_key`. */
  readonly serviceAccountId?: string
  /** Its name, where the id is not known; it must be the only one of this name in the project. */
  readonly serviceAccountName?: string
  /** A second account, for spare keys, by its id or its name. */
  readonly standbyServiceAccountId?: string
  readonly standbyServiceAccountName?: string
  /**
   * `service_account_key` (default): another key on one stable account, which keeps identity, roles and attribution.
   * `new_service_account`: an account per key, for organisations that refuse the former.
   */
  readonly mode?: 'service_account_key' | 'new_service_account'
  /** Scopes of minted keys where the request names none. Empty: all permissions. */
  readonly scopes?: readonly string[]
  /** Whether a service account's name is a marker of ours, by default by its form. Only accounts with such a name are ever deleted. */
  readonly isMarker?: (name: string) => boolean
}

/** An account by its id, or where that is not known by its name. */
export interface AccountName {
  readonly id?: string
  readonly name?: string
}

export interface Minting {
  readonly adminKey: () => Promise<Secret>
  readonly projectId: string
  readonly mode: 'service_account_key' | 'new_service_account'
  readonly account: AccountName
  /** For spares; absent where none is configured. */
  readonly standby?: AccountName
  readonly scopes: readonly string[]
  readonly isMarker: (name: string) => boolean
}

/** The markers that rotations write: installation and attempt. A team may well call an account of its own `keyturn-app`. */
const markerPattern = /^keyturn-[0-9a-f]{8}-[0-9a-f]{20}$/

export const defaultBaseUrl = 'https://api.openai.com/v1'
export const timeouts = { defaultMs: 5_000, minMs: 100, maxMs: 60_000 } as const

export function checkedAddress(options: OpenAIAddress): {
  readonly baseUrl: string
  readonly timeoutMs: number
} {
  const timeoutMs = options.timeoutMs ?? timeouts.defaultMs
  if (!Number.isInteger(timeoutMs) || timeoutMs < timeouts.minMs || timeoutMs > timeouts.maxMs)
    throw new KeyturnError('config_invalid', 'The timeout of the issuer is out of range.', {
      fix: `Set timeoutMs to a whole number from ${timeouts.minMs} to ${timeouts.maxMs}.`,
    })
  assertId('organization', options.organization)
  assertId('project', options.project)
  return { baseUrl: checkedBaseUrl(options.baseUrl ?? defaultBaseUrl), timeoutMs }
}

/** What minting needs, or undefined where something of it is not configured. */
export function checkedMinting(options: OpenAIIssuerOptions): Minting | undefined {
  const { adminKey, projectId, serviceAccountId: id, serviceAccountName: name } = options
  assertId('projectId', projectId)
  assertId('serviceAccountId', id)
  assertId('standbyServiceAccountId', options.standbyServiceAccountId)
  const mode = options.mode ?? 'service_account_key'
  if (adminKey === undefined || projectId === undefined) return undefined
  if (mode === 'service_account_key' && id === undefined && name === undefined) return undefined
  return {
    adminKey,
    projectId,
    mode,
    account: accountName(id, name),
    ...standbyOf(options),
    scopes: options.scopes ?? [],
    isMarker: options.isMarker ?? ((candidate) => markerPattern.test(candidate)),
  }
}

function standbyOf({
  standbyServiceAccountId: id,
  standbyServiceAccountName: name,
}: OpenAIIssuerOptions): Pick<Minting, 'standby'> {
  return id === undefined && name === undefined ? {} : { standby: accountName(id, name) }
}

function accountName(id: string | undefined, name: string | undefined): AccountName {
  return { ...(id === undefined ? {} : { id }), ...(name === undefined ? {} : { name }) }
}

/** Ids end up in paths and headers, so nothing else than an id may stand there. */
function assertId(option: string, id: string | undefined): void {
  if (id === undefined || /^[A-Za-z0-9_-]{1,128}$/.test(id)) return
  throw new KeyturnError('config_invalid', `The issuer's ${option} is not an id of OpenAI.`, {
    fix: 'Copy it from the settings of the organisation or project: letters, digits, - and _ only.',
  })
}

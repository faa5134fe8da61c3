import { KeyturnError } from '../core/errors.ts'
import { type DueSecret, instantOf, recordOf, type SecretPlace } from './due.ts'

export type EventGridCall =
  /** A new subscription is tried: the code is to be sent back. */
  | { readonly kind: 'validation'; readonly code: string }
  | { readonly kind: 'events'; readonly due: readonly DueSecret[] }

const dueTypes: Readonly<Record<string, string>> = {
  'Microsoft.KeyVault.SecretNearExpiry': 'Azure Key Vault: SecretNearExpiry',
  'Microsoft.KeyVault.SecretExpired': 'Azure Key Vault: SecretExpired',
}
const validationType = 'Microsoft.EventGrid.SubscriptionValidationEvent'
/** Event Grid sends one at a time where nothing else is asked for. */
const eventsMax = 100
const codePattern = /^[A-Za-z0-9-]{1,128}$/
const originPattern = /^[a-z0-9.-]{1,255}$/i

/**
 * What Event Grid sends, in its own schema (a list) or as CloudEvents 1.0 (one, or a batch):
 * https://learn.microsoft.com/azure/event-grid/event-schema-key-vault (2026-11-26). `bad_request` for what it does
 * not send; echoes nothing of it.
 */
export function readEventGrid(body: unknown): EventGridCall {
  const events = (Array.isArray(body) ? body : [body]).map(recordOf)
  if (events.length === 0 || events.length > eventsMax) throw notEventGrid()
  const [first] = events
  if (first?.['eventType'] === validationType) {
    const code = recordOf(first['data'])['validationCode']
    if (typeof code !== 'string' || !codePattern.test(code)) throw notEventGrid()
    return { kind: 'validation', code }
  }
  return { kind: 'events', due: events.map(readEvent).filter((one) => one !== undefined) }
}

/** Of the handshake of CloudEvents: who asks whether it may send. Undefined for whoever else asks. */
export function allowedOrigin(origin: unknown): string | undefined {
  return typeof origin === 'string' &&
    originPattern.test(origin) &&
    /(?:^|\.)eventgrid\.azure\.(?:net|us|cn)$/i.test(origin)
    ? origin
    : undefined
}

export function azurePlace(credential: string, ref: string, vault: string): SecretPlace {
  return { credential, place: vaultName(vault), secret: ref.toLowerCase() }
}

function readEvent(event: Readonly<Record<string, unknown>>): DueSecret | undefined {
  const isCloudEvent = event['specversion'] !== undefined
  const type = isCloudEvent ? event['type'] : event['eventType']
  const at = instantOf(isCloudEvent ? event['time'] : event['eventTime'])
  if (typeof type !== 'string' || typeof event['id'] !== 'string' || at === undefined) throw notEventGrid()
  const why = Object.hasOwn(dueTypes, type) ? dueTypes[type] : undefined
  const { VaultName: vault, ObjectType: kind, ObjectName: secret, EXP: expiry } = recordOf(event['data'])
  if (why === undefined || kind !== 'Secret') return undefined
  if (typeof vault !== 'string' || typeof secret !== 'string') throw notEventGrid()
  // Azure minds no case in either name.
  const due = { place: vault.toLowerCase(), secret: secret.toLowerCase(), at, why }
  return typeof expiry === 'number' ? { ...due, expiresAt: expiry * 1_000 } : due
}

/** `https://NAME.vault.azure.net` */
function vaultName(vault: string): string | undefined {
  return /^https:\/\/([a-z0-9-]+)\./i.exec(vault)?.[1]?.toLowerCase()
}

function notEventGrid(): KeyturnError {
  return new KeyturnError('bad_request', 'The body is no event of Event Grid about a secret.', {
    fix: 'Let an event subscription of the vault send it, in the schema of Event Grid or as CloudEvents 1.0.',
  })
}

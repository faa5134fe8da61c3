import { createHmac } from 'node:crypto'
import { type AlertChannel, type AlertNotice, linesOf } from '../core/alert-notice.ts'
import { KeyturnError } from '../core/errors.ts'
import { addressOf, type ChannelContext, type ReadSecret, withSecrets } from './context.ts'

export interface WebhookOptions {
  readonly kind: 'webhook'
  readonly url: ReadSecret
  /** What requests are signed with: `whsec_` and base64, or any text; while it is turned up to three, one a line. */
  readonly secret: ReadSecret
}

/**
 * Somebody's own receiver. Signed in the form of Standard Webhooks (standardwebhooks.com, read 2026-11): `webhook-id`,
 * `webhook-timestamp` in seconds, and `webhook-signature: v1,<base64 of HMAC-SHA-256 over "<id>.<timestamp>.<body>">`, one
 * for each secret with a space between them.
 */
export function openWebhook({ url, secret }: WebhookOptions, context: ChannelContext): AlertChannel {
  return {
    kind: 'webhook',
    deliver: (notice) =>
      withSecrets(async () => {
        const body = JSON.stringify(messageOf(notice))
        const timestamp = Math.floor(context.clock.now() / 1_000)
        const signatures = keysOf((await secret()).reveal()).map((key) => {
          const signed = createHmac('sha256', key).update(`${notice.id}.${timestamp}.${body}`)
          return `v1,${signed.digest('base64')}`
        })
        const headers = {
          'webhook-id': notice.id,
          'webhook-timestamp': String(timestamp),
          'webhook-signature': signatures.join(' '),
        }
        return context.send({
          url: addressOf((await url()).reveal(), 'address of the webhook'),
          headers,
          body,
        })
      }),
    close: async () => undefined,
  }
}

/** Of fewer bytes a signature could be guessed: base64 that is none, or is cut off, is a key of nothing. */
const keyBytesMin = 16
const keysMax = 3
const prefix = 'whsec_'

function keysOf(secret: string): readonly Buffer[] {
  const lines = secret.split(/\r?\n/).filter((line) => line !== '')
  const keys = lines.flatMap((line) => keyOf(line) ?? [])
  if (keys.length === lines.length && keys.length <= keysMax && keys.length > 0) return keys
  throw new KeyturnError('config_invalid', `The secret of the webhook has ${lacking(lines)}.`, {
    fix: `Make one: echo "${prefix}$(openssl rand -base64 32)"; receivers know it from you.`,
  })
}

function keyOf(line: string): Buffer | undefined {
  const encoded = line.startsWith(prefix) ? line.slice(prefix.length) : undefined
  if (encoded !== undefined && !/^[A-Za-z0-9+/]+={0,2}$/.test(encoded)) return undefined
  const key = encoded === undefined ? Buffer.from(line) : Buffer.from(encoded, 'base64')
  return key.length < keyBytesMin ? undefined : key
}

function lacking(lines: readonly string[]): string {
  if (lines.length > keysMax) return `more than ${keysMax} lines`
  return `a line of fewer than ${keyBytesMin} bytes, or what is no base64 behind ${prefix}`
}

function messageOf(notice: AlertNotice): object {
  const { since, openedAt, at, kind, link, ...rest } = notice
  return {
    type: `alert.${kind}`,
    timestamp: new Date(at).toISOString(),
    data: {
      ...rest,
      text: linesOf(notice).join('\n'),
      link: link ?? null,
      since: new Date(since).toISOString(),
      openedAt: new Date(openedAt).toISOString(),
    },
  }
}

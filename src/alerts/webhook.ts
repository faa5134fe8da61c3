import { createHmac } from 'node:crypto'
import { type AlertChannel, type AlertNotice, linesOf } from '../core/alert-notice.ts'
import { addressOf, type ChannelContext, type ReadSecret, withSecrets } from './context.ts'

export interface WebhookOptions {
  readonly kind: 'webhook'
  readonly url: ReadSecret
  /** What requests are signed with: `whsec_` and base64, or any text. */
  readonly secret: ReadSecret
}

/**
 * Somebody's own receiver. Signed in the form of Standard Webhooks (standardwebhooks.com, read 2026-11): `webhook-id`,
 * `webhook-timestamp` in seconds, and `webhook-signature: v1,<base64 of HMAC-SHA-256 over "<id>.<timestamp>.<body>">`.
 */
export function openWebhook({ url, secret }: WebhookOptions, context: ChannelContext): AlertChannel {
  return {
    kind: 'webhook',
    deliver: (notice) =>
      withSecrets(async () => {
        const body = JSON.stringify(messageOf(notice))
        const timestamp = Math.floor(context.clock.now() / 1_000)
        const key = keyOf((await secret()).reveal())
        const signature = createHmac('sha256', key)
          .update(`${notice.id}.${timestamp}.${body}`)
          .digest('base64')
        const headers = {
          'webhook-id': notice.id,
          'webhook-timestamp': String(timestamp),
          'webhook-signature': `v1,${signature}`,
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

function keyOf(secret: string): Buffer {
  const prefix = 'whsec_'
  return secret.startsWith(prefix) ? Buffer.from(secret.slice(prefix.length), 'base64') : Buffer.from(secret)
}

function messageOf(notice: AlertNotice): object {
  const { openedAt, at, kind, link, ...rest } = notice
  return {
    type: `alert.${kind}`,
    timestamp: new Date(at).toISOString(),
    data: {
      ...rest,
      text: linesOf(notice).join('\n'),
      link: link ?? null,
      openedAt: new Date(openedAt).toISOString(),
    },
  }
}

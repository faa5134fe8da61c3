import type { DeliveryOutcome } from '../core/alert-deliveries.ts'
import { type AlertChannel, type AlertNotice, linesOf } from '../core/alert-notice.ts'
import { isLoopbackHost } from '../core/loopback.ts'
import { type ChannelContext, type ReadSecret, withSecrets } from './context.ts'
import { failed } from './post.ts'

export interface EmailOptions {
  readonly kind: 'email'
  readonly host: string
  readonly port: number
  /** implicit: TLS from the first byte. starttls: asked for, and needed. none: to this machine only. */
  readonly tls: 'implicit' | 'starttls' | 'none'
  readonly user?: string
  readonly password?: ReadSecret
  readonly from: string
  readonly to: readonly string[]
}

/** By SMTP. What is said again has the same Message-ID, and all of an incident stand in one thread. */
export function openEmail(options: EmailOptions, context: ChannelContext): AlertChannel {
  return {
    kind: 'email',
    deliver: (notice) =>
      withSecrets(async () => {
        const { createTransport } = await import('nodemailer')
        const transport = createTransport(await settingsOf(options, context))
        try {
          await transport.sendMail(mailOf(notice, options))
          return { kind: 'delivered' }
        } catch (thrown) {
          return refused(thrown)
        } finally {
          transport.close()
        }
      }),
    close: async () => undefined,
  }
}

async function settingsOf(options: EmailOptions, { timeoutMs }: ChannelContext) {
  const { host, port, tls, user, password } = options
  const isNear = isLoopbackHost(host) || host === '::1'
  const auth =
    user === undefined || password === undefined ? {} : { auth: { user, pass: (await password()).reveal() } }
  return {
    host,
    port,
    secure: tls === 'implicit',
    // Beyond this machine never without, whatever the server offers.
    requireTLS: tls === 'starttls' || (tls === 'none' && !isNear),
    ignoreTLS: tls === 'none' && isNear,
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    dnsTimeout: timeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true,
    ...auth,
  }
}

function mailOf(notice: AlertNotice, { from, to }: EmailOptions) {
  const { title, severity, incident, id, link, code, kind } = notice
  const domain =
    from
      .split('@')
      .at(-1)
      ?.replace(/[^A-Za-z0-9.-]/g, '') ?? 'keyturn'
  const lines = [
    title,
    '',
    ...linesOf(notice),
    ...(link === undefined ? [] : ['', link]),
    '',
    `${code} · ${id}`,
  ]
  const thread = `<${incident}@${domain}>`
  return {
    from,
    to: [...to],
    subject: `[Keyturn ${severity}] ${title}`,
    text: lines.join('\n'),
    messageId: kind === 'opened' ? thread : `<${id}@${domain}>`,
    ...(kind === 'opened' ? {} : { inReplyTo: thread, references: [thread] }),
    headers: { 'auto-submitted': 'auto-generated', 'x-keyturn-notice': id },
  }
}

/** By codes: what servers say may name people, and echoes. */
function refused(thrown: unknown): DeliveryOutcome {
  const { code, responseCode: status } = thrown as {
    readonly code?: unknown
    readonly responseCode?: unknown
  }
  if (typeof status === 'number')
    return failed(`the mail server answered with ${status}`, { isPermanent: status >= 500 && status < 600 })
  const name = typeof code === 'string' && /^[A-Z_]{2,30}$/.test(code) ? code : 'unknown'
  if (name === 'ETLS')
    return failed('the mail server offers no TLS that can be trusted', { isPermanent: true })
  return failed(`the mail server could not be asked (${name})`, { isUnsure: name === 'ETIMEDOUT' })
}

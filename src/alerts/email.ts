import type { DeliveryOutcome } from '../core/alert-deliveries.ts'
import { type AlertChannel, type AlertNotice, linesOf } from '../core/alert-notice.ts'
import { isLoopbackHost } from '../core/loopback.ts'
import { explainFailure } from '../core/transport-failure.ts'
import { type ChannelContext, type ReadSecret, withSecrets } from './context.ts'
import { failed, untrusted } from './post.ts'

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
        // A server that says a word now and then keeps every other timeout from passing.
        const signal = AbortSignal.timeout(context.timeoutMs)
        try {
          await transport.sendMail({ ...mailOf(notice, options), signal })
          return { kind: 'delivered' }
        } catch (thrown) {
          return signal.aborted ? failed('no answer in time', { isUnsure: true }) : refused(thrown)
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
  const { code, originalCode, responseCode } = thrown as Readonly<Record<string, unknown>>
  const status = typeof responseCode === 'number' ? responseCode : undefined
  const system = codeOf(originalCode) ?? codeOf(code) ?? 'unknown'
  if (code === 'ETLS' && status !== undefined)
    return failed('the mail server offers no STARTTLS: take tls: implicit, or its port for STARTTLS (587)', {
      isPermanent: true,
    })
  const { failure } = explainFailure({ code: system })
  if (code === 'ETLS' || failure === 'tls') return untrusted(system)
  if (status !== undefined) {
    const isPermanent = status >= 500 && status < 600
    if (code === 'EAUTH' && isPermanent)
      return failed(`the mail server does not take the user and password (${status})`, { isPermanent })
    return failed(`the mail server answered with ${status}`, { isPermanent })
  }
  // The last word of a connection that broke off may have been the mail.
  const isUnsure = code !== 'EDNS' && failure !== 'dns' && failure !== 'connect'
  return failed(`the mail server could not be asked (${system})`, { isUnsure })
}

function codeOf(code: unknown): string | undefined {
  return typeof code === 'string' && /^[A-Z0-9_]{2,60}$/.test(code) ? code : undefined
}

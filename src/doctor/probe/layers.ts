import type { DoctorContext, Step } from '../context.ts'
import type { Attempt, Network, RawAnswer } from '../network.ts'
import type { Target } from './base-url.ts'
import type { Budget } from './budget.ts'
import type { ProxyInForce } from './proxy-settings.ts'

type AnswerOf<Name extends keyof Network> = Awaited<ReturnType<Network[Name]>>

/** What each layer below a call came to; those after the first that failed are not there. */
export interface Layers {
  readonly dns: AnswerOf<'resolve'>
  readonly connect?: AnswerOf<'connect'>
  readonly tls?: AnswerOf<'tls'>
  readonly http?: AnswerOf<'request'>
  /** The local clock when the request was under way: midway between its start and its end. */
  readonly httpAt?: number
}

/** What is on the way: the target, or the proxy in front of it. */
export interface Way {
  readonly target: Target
  readonly proxy: ProxyInForce | undefined
}

/**
 * Goes through the layers. Once the name is resolved they are tried side by side, each on a connection of its own, which
 * takes no longer than the last of them; they are judged and told of in their order. `alongside` begins with them.
 */
export async function probeLayers<More>(
  context: DoctorContext,
  way: Way,
  budget: Budget,
  alongside: () => Promise<More>,
): Promise<{ readonly layers: Layers; readonly more: More | undefined }> {
  const { network } = context
  const first = firstHop(way)
  const about = {
    dns: first.host,
    connect: `${first.host}:${first.port}`,
    tls: way.target.url.host,
    http: `GET ${way.target.baseUrl}/models`,
  }
  const names =
    way.target.url.protocol === 'https:' ? ['connect', 'tls', 'http'] : (['connect', 'http'] as const)
  const later = names as readonly (keyof typeof about)[]
  const tell = (step: Step) => context.onStep(step)
  const skip = (from: number) => {
    for (const name of later.slice(from)) tell({ name, about: about[name], state: 'skipped' })
  }
  tell({ name: 'dns', about: about.dns, state: 'running' })
  const dns = await network.resolve(first.host, budget.stepMs())
  tell(ended('dns', about.dns, dns))
  if (dns.kind === 'failed') {
    skip(0)
    return { layers: { dns }, more: undefined }
  }

  for (const name of later) tell({ name, about: about[name], state: 'running' })
  const timeoutMs = budget.stepMs()
  const startedAt = context.system.now()
  const attempts = {
    connect: network.connect(first, timeoutMs),
    tls: later.includes('tls') ? network.tls(endOf(way), timeoutMs) : undefined,
    http: askWithoutKey(context, way, timeoutMs),
  }
  const more = alongside()
  const layers: { -readonly [Name in keyof Layers]: Layers[Name] } = { dns }
  let isDown = false
  for (const [index, name] of later.entries()) {
    const attempt = await attempts[name as keyof typeof attempts]
    if (attempt === undefined) continue
    Object.assign(layers, { [name]: attempt })
    tell(ended(name, about[name], attempt))
    if (attempt.kind === 'done') continue
    skip(index + 1)
    isDown = true
    break
  }
  const [, , http, additional] = await Promise.all([attempts.connect, attempts.tls, attempts.http, more])
  if (isDown) return { layers, more: undefined }
  return { layers: { ...layers, httpAt: startedAt + http.tookMs / 2 }, more: additional }
}

/** Anybody may be asked this: it says who answers, and what time it is there. */
export function askWithoutKey(
  { network }: Pick<DoctorContext, 'network'>,
  { target, proxy }: Way,
  timeoutMs: number,
): Promise<Attempt<RawAnswer>> {
  return network.request(
    {
      url: `${target.baseUrl}/models`,
      method: 'GET',
      headers: { accept: 'application/json', 'user-agent': 'keyturn' },
      acceptsAnyCertificate: true,
      ...(proxy?.url === undefined ? {} : { proxy: proxy.url }),
    },
    timeoutMs,
  )
}

export function firstHop({ target, proxy }: Way): { readonly host: string; readonly port: number } {
  if (proxy?.url === undefined) return { host: target.url.hostname, port: portOf(target.url) }
  const url = new URL(proxy.url)
  return { host: url.hostname, port: portOf(url) }
}

function endOf({ target, proxy }: Way): {
  readonly host: string
  readonly port: number
  readonly proxy?: string
} {
  const end = { host: target.url.hostname, port: portOf(target.url) }
  return proxy?.url === undefined ? end : { ...end, proxy: proxy.url }
}

const portOf = (url: URL) => Number(url.port) || (url.protocol === 'https:' ? 443 : 80)

function ended(name: string, about: string, attempt: Attempt<unknown>): Step {
  return { name, about, state: attempt.kind === 'done' ? 'passed' : 'failed', tookMs: attempt.tookMs }
}

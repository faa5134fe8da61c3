import type { Send } from '../client/wire.ts'
import type { Log, System } from '../core/ports.ts'
import type { AdmissionRules } from './admission.ts'
import { createCallers } from './callers.ts'
import { defaultLimits, type ProxyLimits } from './limits.ts'
import { createFormer, type FilledFamily, readMetrics } from './metrics.ts'
import { createProxy, type Proxy } from './proxy.ts'
import { createTally } from './tally.ts'
import { openUpstreams, type UpstreamChoice, type WayTo } from './upstream.ts'

export interface OpenProxyOptions extends Pick<AdmissionRules, 'credentials' | 'roots' | 'hosts'> {
  /** Where Keyturn is, and what goes there. */
  readonly service: { readonly url: string | URL; readonly send: Send }
  readonly upstream: UpstreamChoice
  /** Default: straight. */
  readonly wayTo?: WayTo
  /** Who the proxy is in Keyturn's leases: 1 to 128 visible ASCII characters, stable for its life. */
  readonly instance: string
  /** For how long a key is given out without word from Keyturn, in milliseconds, where that is shorter than Keyturn allows. */
  readonly staleAfterMs?: number | undefined
  readonly limits?: Partial<ProxyLimits>
  readonly system: Pick<System, 'now' | 'after'>
  readonly log: Log
}

export interface OpenedProxy extends Proxy {
  readonly metrics: () => readonly FilledFamily[]
}

/** A proxy of one Keyturn service. It holds no token: its callers bring theirs. Nothing is asked before the first request. */
export async function openProxy(options: OpenProxyOptions): Promise<OpenedProxy> {
  const { service, upstream, system, log, instance, staleAfterMs, credentials, roots, hosts } = options
  const limits = { ...defaultLimits, ...options.limits }
  const former = createFormer()
  const tally = createTally()
  const callers = createCallers({
    url: service.url,
    instance,
    staleAfterMs,
    platform: { quietSend: service.send },
    clock: system,
    log,
    limits,
    onForgotten: (caller) => former.add(caller),
  })
  const upstreams = await openUpstreams({ choice: upstream, wayTo: options.wayTo ?? straight, limits })
  const proxy = createProxy({
    credentials,
    roots,
    hosts,
    callers,
    upstreams,
    tally,
    limits,
    timers: system,
  })
  return { ...proxy, metrics: () => readMetrics({ callers: callers.all(), former, tally }) }
}

const straight: WayTo = () => undefined

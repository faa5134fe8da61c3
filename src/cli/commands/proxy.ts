import type { Server } from 'node:http'
import { resolve } from 'node:path'
import { isLoopback, parseListen } from '../../config/listen.ts'
import type { ListenConfig } from '../../config/types.ts'
import { KeyturnError } from '../../core/errors.ts'
import { isLoopbackHost } from '../../core/loopback.ts'
import { credentialNamePattern } from '../../core/types.ts'
import type { ProxyLimits } from '../../proxy/limits.ts'
import type { OpenedProxy, OpenProxyOptions } from '../../proxy/open-proxy.ts'
import type { WayTo } from '../../proxy/upstream.ts'
import { createSystem } from '../../system.ts'
import { type Context, usage } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { instanceName } from '../instance-name.ts'
import { countOption, durationOption } from '../option-values.ts'
import { sendingTo } from '../sending-to.ts'
import { serviceLog } from '../service-log.ts'
import { type Address, nonEmpty } from '../target.ts'
import { signals } from '../until-signal.ts'

const defaultAddress = '127.0.0.1:7422'
const defaultUpstream = 'https://api.openai.com/v1'
const mebibyte = 1_048_576

export async function run(context: Context): Promise<ExitCode> {
  const { io, out } = context
  const listen = listenOf(context, 'listen', defaultAddress)
  const metricsAt =
    context.options.text('metrics') === undefined ? undefined : listenOf(context, 'metrics', '')
  const [{ openProxy }, { defaultRoots }, { listenOn }, { createHosts }] = await Promise.all([
    import('../../proxy/open-proxy.ts'),
    import('../../proxy/paths.ts'),
    import('../../server/listen.ts'),
    import('../../server/hosts.ts'),
  ])
  const credentials = credentialsOf(context)
  const upstream = upstreamOf(context)
  const wayTo = await wayOut(io.env, upstream)
  const log = await serviceLog(io, { level: 'warn', format: 'text' })
  await io.harden(log)
  const { address } = await context.target()
  const system = createSystem()
  const { first, ignore } = signals(io, out)
  try {
    const proxy = await openProxy({
      credentials,
      upstream,
      wayTo,
      roots: new Set([...defaultRoots, ...(await allowedOf(context))]),
      service: serviceAt(address, io),
      hosts: createHosts({ listenHost: hostOf(listen), allowedHosts: [] }),
      instance: instanceName('proxy', `${process.pid}-${system.uuid().slice(0, 8)}`),
      staleAfterMs: durationOption(context.options, '--stale-after', { without: undefined, least: '1s' }),
      limits: limitsOf(context),
      system,
      log,
    })
    let metrics: Awaited<ReturnType<typeof serveMetrics>> | undefined
    try {
      const { url } = await listenOn(proxy.server, listen).catch(listenError('listen'))
      if (metricsAt !== undefined) metrics = await serveMetrics(proxy, metricsAt)
      greet(context, { url, metrics: metrics?.url, credentials, upstream, service: textOf(address) })
      await first
    } finally {
      await proxy.stop()
      metrics?.server.close()
      metrics?.server.closeAllConnections()
    }
    return exitCodes.done
  } finally {
    ignore()
  }
}

/** On an address of its own, without a token: see the options. */
async function serveMetrics(
  proxy: OpenedProxy,
  listen: ListenConfig,
): Promise<{ server: Server; url: string }> {
  const [{ createMetricsServer }, { loadExposition, metricsTypes }, { listenOn }, { createHosts }] =
    await Promise.all([
      import('../../proxy/metrics-server.ts'),
      import('../../server/exposition.ts'),
      import('../../server/listen.ts'),
      import('../../server/hosts.ts'),
    ])
  const exposition = await loadExposition()
  const server = createMetricsServer({
    hosts: createHosts({ listenHost: hostOf(listen), allowedHosts: [] }),
    write: async () => ({
      type: metricsTypes.prometheus,
      // So few lines that nobody is held up by them.
      text: await exposition.write(proxy.metrics(), 'prometheus', () => Promise.resolve()),
    }),
  })
  const { url } = await listenOn(server, listen).catch(listenError('metrics'))
  return { server, url }
}

function hostOf(listen: ListenConfig): string | undefined {
  return listen.kind === 'tcp' ? listen.host : undefined
}

function greet(
  { out }: Context,
  about: {
    readonly url: string
    readonly metrics: string | undefined
    readonly credentials: readonly string[]
    readonly upstream: OpenProxyOptions['upstream']
    readonly service: string
  },
): void {
  const { url, metrics, credentials, service } = about
  const upstream = about.upstream === 'service' ? 'where Keyturn says' : about.upstream.href
  const baseUrl = url.startsWith('unix:') ? url : `${url}/v1`
  out.result({ url: baseUrl, metrics: metrics ?? null, credentials, upstream, service }, () => [
    `Keyturn proxy answers at ${baseUrl}`,
    `  for ${credentials.join(', ')}; tokens are shown to ${service}, requests go to ${upstream}`,
    ...(metrics === undefined ? [] : [`  metrics at ${metrics}/metrics`]),
    ...(url.startsWith('unix:')
      ? []
      : [`  use it: OPENAI_BASE_URL=${baseUrl} OPENAI_API_KEY=<a Keyturn token>`]),
  ])
}

// ----------------------------------------------------------------- options

/** Beyond this machine whoever is on the way could read tokens and answers. */
function listenOf({ options, io }: Context, name: 'listen' | 'metrics', without: string): ListenConfig {
  const listen = parseListen(options.text(name) ?? without, (path) => resolve(io.cwd, path))
  if (listen !== undefined && (listen.kind === 'unix' || isLoopback(listen.host))) return listen
  throw usage(
    `--${name} takes an address of this machine`,
    `As in --${name} ${defaultAddress} (0 takes any port that is free) or --${name} unix:/run/openai.sock.`,
  )
}

function credentialsOf({ options, io }: Context): readonly [string, ...string[]] {
  const [first = nonEmpty(io.env['KEYTURN_CREDENTIAL']) ?? 'openai', ...others] = options.list('credential')
  const all: readonly [string, ...string[]] = [first, ...others]
  if (all.every((name) => credentialNamePattern.test(name))) return all
  throw usage(
    '--credential takes the name of a credential',
    'Lower-case letters, digits and hyphens, at most 63, as in openai-prod.',
  )
}

function upstreamOf({ options }: Context): OpenProxyOptions['upstream'] {
  const text = options.text('upstream') ?? defaultUpstream
  if (text === 'service') return text
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isProtected =
    url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopbackHost(url.hostname))
  const isPlain = url?.username === '' && url.password === '' && url.search === '' && url.hash === ''
  if (url !== undefined && isProtected && isPlain) return url
  throw usage(
    '--upstream takes the base URL of the API',
    `https, or http on this machine, without user, query and fragment, as in ${defaultUpstream}; or 'service'.`,
  )
}

/** The proxy for outgoing traffic, where Node is told to use one: fetch in `keyturn serve` goes by the same variables. */
async function wayOut(
  env: Readonly<Record<string, string | undefined>>,
  upstream: OpenProxyOptions['upstream'],
): Promise<WayTo> {
  if (env['NODE_USE_ENV_PROXY'] !== '1') return () => undefined
  const { proxyInForce } = await import('../../doctor/probe/proxy-settings.ts')
  const found = proxyInForce(env, upstream === 'service' ? new URL(defaultUpstream) : upstream)
  if (found !== undefined && found.url === undefined)
    throw new KeyturnError('config_invalid', `${found.variable} names no HTTP proxy (${found.shown})`, {
      fix: 'Give it the address of one, as in http://proxy.example.com:3128, or unset NODE_USE_ENV_PROXY.',
    })
  return (url) => proxyInForce(env, url)?.url
}

async function allowedOf({ options }: Context): Promise<readonly string[]> {
  const { neverRoots, rootPattern } = await import('../../proxy/paths.ts')
  const allowed = options.list('allow')
  for (const root of allowed) {
    if (!rootPattern.test(root))
      throw usage('--allow takes the first part of a path', 'As in --allow realtime, for /v1/realtime/…')
    if (neverRoots.includes(root))
      throw usage(
        `--allow ${root} would pass on what administers`,
        'Keyturn itself looks after keys; an administrator uses the admin key, and no proxy.',
      )
  }
  return allowed
}

function limitsOf({ options }: Context): Partial<ProxyLimits> {
  const requests = countOption(options, '--max-requests', 100_000)
  const mebibytes = countOption(options, '--max-body', 65_536)
  // Timers take no more than 24 days.
  const upstreamTimeoutMs = durationOption(options, '--timeout', {
    without: undefined,
    least: '1s',
    most: '24h',
  })
  return {
    ...(requests === undefined
      ? {}
      : { requestsMax: requests, requestsPerCallerMax: Math.max(1, Math.floor(requests / 2)) }),
    ...(mebibytes === undefined ? {} : { bodyBytesMax: mebibytes * mebibyte }),
    ...(upstreamTimeoutMs === undefined ? {} : { upstreamTimeoutMs }),
  }
}

// ----------------------------------------------------------------- service

function serviceAt(address: Address, io: Context['io']): OpenProxyOptions['service'] {
  return { url: address.kind === 'unix' ? 'http://localhost' : address.url, send: sendingTo(address, io) }
}

function textOf(address: Address): string {
  return address.kind === 'unix' ? `unix:${address.path}` : address.url.origin
}

/** The other listener of Keyturn has its address from elsewhere, and says so. */
function listenError(option: 'listen' | 'metrics'): (thrown: unknown) => never {
  return (thrown) => {
    if (!(thrown instanceof KeyturnError) || !thrown.fix?.includes('KEYTURN_LISTEN')) throw thrown
    const { code, message, cause } = thrown
    throw new KeyturnError(code, message, {
      fix: `Choose another address with --${option}, as in --${option} 127.0.0.1:0 for any free port.`,
      cause,
    })
  }
}

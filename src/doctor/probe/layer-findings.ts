import type { FindingCode } from '../catalogue.ts'
import type { Finding, Place } from '../finding.ts'
import type { Attempt, PeerCertificate } from '../network.ts'
import { shellWord } from '../shell-word.ts'
import { skewFinding } from './clock.ts'
import { firstHop, type Layers, type Way } from './layers.ts'
import type { ProxyInForce } from './proxy-settings.ts'
import type { Shown } from './shown.ts'

type Failed = Extract<Attempt<unknown>, { kind: 'failed' }>

interface Judging {
  readonly layers: Layers
  readonly way: Way
  readonly shown: Shown
  /** What came of going without the proxy, where one failed. */
  readonly straight?: Attempt<unknown> | undefined
  /** The local clock. */
  readonly now: number
}

/** The first layer that fails, or undefined. */
export function layerFinding(judging: Judging): Finding | undefined {
  const { layers, way } = judging
  const { dns, connect, tls, http } = layers
  const { host, port } = firstHop(way)
  if (dns.kind === 'failed') return proxyOr(judging, dns, dnsFinding(way, host, dns))
  if (connect?.kind === 'failed')
    return proxyOr(judging, connect, connectFinding(way, `${host}:${port}`, connect))
  if (tls?.kind === 'failed') return behindProxy(judging, tls) ?? tlsFinding(way, tls)
  if (tls?.kind === 'done' && tls.answer.certificate.problem !== undefined)
    return untrusted(judging, tls.answer.certificate)
  if (http?.kind === 'failed') return behindProxy(judging, http) ?? httpFinding(way, http)
  return undefined
}

const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`

/** `ENOTFOUND after 0.2 s`. */
function howOf({ failure, detail, tookMs }: Failed): string {
  return failure === 'timeout'
    ? `no answer within ${seconds(tookMs)}`
    : `${detail ?? failure} after ${seconds(tookMs)}`
}

function placeOf({ target }: Way): Place {
  return target.place ?? { kind: 'address', url: target.url.origin }
}

function finding(
  code: FindingCode,
  way: Way,
  words: { readonly seen: string; readonly cause: string; readonly fix: string },
): Finding {
  return { code, severity: 'error', ...words, place: placeOf(way) }
}

function dnsFinding(way: Way, host: string, failed: Failed): Finding {
  return finding('dns_failed', way, {
    seen: `DNS of ${host}: ${howOf(failed)}.`,
    cause: 'The name is not resolved here: there is no network or no DNS, or the name is wrong.',
    fix: `node -e 'require("dns").lookup(process.argv[1], console.log)' ${shellWord(host)}`,
  })
}

function connectFinding(way: Way, address: string, failed: Failed): Finding {
  return finding('connect_failed', way, {
    seen: `DNS passed, connect to ${address}: ${howOf(failed)}.`,
    cause:
      failed.failure === 'timeout'
        ? 'Nobody answers at the address: a firewall drops the packets, or a proxy has to be used.'
        : 'The connection is refused or cut: nobody listens there, or a firewall is in the way.',
    fix: `curl -v --max-time 10 ${shellWord(way.target.url.origin)}`,
  })
}

function tlsFinding(way: Way, failed: Failed): Finding {
  return finding('tls_failed', way, {
    seen: `DNS and connect passed, TLS with ${way.target.url.host}: ${howOf(failed)}.`,
    cause: 'The handshake does not come about: what listens there speaks no TLS, or something cuts it.',
    fix: `openssl s_client -connect ${shellWord(`${way.target.url.hostname}:${way.target.url.port || '443'}`)} </dev/null`,
  })
}

function httpFinding(way: Way, failed: Failed): Finding {
  const isSlow = failed.failure === 'timeout'
  return finding(isSlow ? 'timed_out' : 'connect_failed', way, {
    seen: `DNS, connect${way.target.url.protocol === 'https:' ? ' and TLS' : ''} passed, HTTP with ${way.target.url.host}: ${howOf(failed)}.`,
    cause: isSlow
      ? 'Somebody takes the request and gives no whole answer in time.'
      : 'The connection breaks before there is a whole answer: a proxy or firewall cuts it, or no HTTP is spoken there.',
    fix: `curl -v --max-time 30 ${shellWord(`${way.target.baseUrl}/models`)}`,
  })
}

/** What fails before the proxy has let anything through is the proxy's. */
function proxyOr(judging: Judging, failed: Failed, otherwise: Finding): Finding {
  const { proxy } = judging.way
  return proxy?.url === undefined ? otherwise : proxyFinding(judging, proxy, failed)
}

function behindProxy(judging: Judging, failed: Failed): Finding | undefined {
  const { proxy } = judging.way
  return proxy !== undefined && failed.detail?.startsWith('PROXY_') === true
    ? proxyFinding(judging, proxy, failed)
    : undefined
}

function proxyFinding({ way, straight }: Judging, proxy: ProxyInForce, failed: Failed): Finding {
  const wantsLogin = failed.detail === 'PROXY_407'
  const how = failed.detail?.startsWith('PROXY_')
    ? `answers ${failed.detail.slice('PROXY_'.length)} to CONNECT ${way.target.url.host}`
    : `does not answer: ${howOf(failed)}`
  const without =
    straight === undefined
      ? ''
      : straight.kind === 'done'
        ? ' Without it the address answers.'
        : ' Without it there is no answer either.'
  return {
    code: 'proxy_failed',
    severity: 'error',
    seen: `${proxyInWords(proxy)} ${how}.${without}`,
    cause: wantsLogin
      ? 'The proxy that the environment names wants a user and a password.'
      : 'The proxy that the environment names lets nothing through to the API.',
    fix: wantsLogin
      ? `export ${proxy.variable}=${shellWord(`http://USER:PASSWORD@${proxy.shown}`)}`
      : `unset ${proxy.variable} # or: export NO_PROXY=${shellWord(way.target.url.hostname)}`,
    place: { kind: 'variable', name: proxy.variable },
  }
}

export function proxyInWords({ variable, overruled, shown }: ProxyInForce): string {
  const others = overruled.length === 0 ? '' : `, which wins over ${overruled.join(' and ')}`
  return `The proxy ${shown} (${variable}${others})`
}

/** A value that is no address is used by nobody, and many clients refuse to start with it. */
export function unusableProxy({ proxy }: Way): Finding | undefined {
  if (proxy === undefined || proxy.url !== undefined || proxy.isSocks) return undefined
  return {
    code: 'proxy_failed',
    severity: 'error',
    seen: `${proxyInWords(proxy)} cannot be used.`,
    cause: 'The variable for the proxy does not hold an http:// or https:// address.',
    fix: `unset ${proxy.variable}`,
    place: { kind: 'variable', name: proxy.variable },
  }
}

const timeProblems = ['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID']

function untrusted(judging: Judging, certificate: PeerCertificate): Finding {
  const { way, shown } = judging
  const problem = certificate.problem ?? ''
  const skew = timeProblems.includes(problem) ? skewFinding(judging.layers) : undefined
  const rightNow = judging.now + (skew?.skewMs ?? 0)
  // By the other side's clock the certificate is good: this machine's is what is wrong.
  if (skew !== undefined && rightNow > certificate.validFrom && rightNow < certificate.validTo)
    return { ...skew.finding, severity: 'error' }
  const who = `certificate issuer ${shown(certificate.issuer)}, issued to ${shown(certificate.subject)}, ${problem}`
  if (way.target.kind === 'openai' && !timeProblems.includes(problem))
    return {
      ...finding('foreign_answer', way, {
        seen: `TLS with ${way.target.url.host}: ${who}. The key was not sent.`,
        cause:
          'Something between here and OpenAI opens the TLS connection and shows a certificate of its own.',
        fix: 'export NODE_EXTRA_CA_CERTS=/path/to/company-root.pem SSL_CERT_FILE=/path/to/company-root.pem',
      }),
      ...(way.proxy === undefined ? {} : { place: { kind: 'variable', name: way.proxy.variable } as const }),
    }
  return finding('tls_failed', way, {
    seen: `DNS and connect passed, TLS with ${way.target.url.host}: ${who}. The key was not sent.`,
    cause: timeProblems.includes(problem)
      ? 'The certificate is not valid at this time.'
      : 'The certificate is not of an authority that is trusted here, or is for another name.',
    fix: timeProblems.includes(problem)
      ? `Renew the certificate of ${way.target.url.host}; valid from ${dayOf(certificate.validFrom)} to ${dayOf(certificate.validTo)}`
      : 'export NODE_EXTRA_CA_CERTS=/path/to/company-root.pem SSL_CERT_FILE=/path/to/company-root.pem',
  })
}

function dayOf(at: number): string {
  return Number.isFinite(at) ? new Date(at).toISOString().slice(0, 10) : 'an unknown day'
}

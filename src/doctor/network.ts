import type { TransportFailure } from '../core/types.ts'

/** What a step came to: its answer, or what it failed with. */
export type Attempt<Answer> =
  | { readonly kind: 'done'; readonly answer: Answer; readonly tookMs: number }
  /** `detail`: the operating system's or TLS's own name of the failure, `ENOTFOUND`, `CERT_HAS_EXPIRED`. */
  | {
      readonly kind: 'failed'
      readonly failure: TransportFailure
      readonly detail?: string
      readonly tookMs: number
    }

export interface PeerCertificate {
  /** Common names or organisations; shown to people, so never longer than 100 characters. */
  readonly issuer: string
  readonly subject: string
  readonly validFrom: number
  readonly validTo: number
  /** Why it is not trusted, by its code (`SELF_SIGNED_CERT_IN_CHAIN`); undefined: it is. */
  readonly problem?: string
}

/** An answer's head, and as much of its body as is needed to tell who sent it. */
export interface RawAnswer {
  readonly status: number
  /** Names in lower case; `set-cookie` and whatever may hold a secret is left out. */
  readonly headers: Readonly<Record<string, string>>
  /** At most 64 KiB. */
  readonly body: string
}

/**
 * The layers below a call, each on its own, so that the one that fails can be named. The implementer owes: every step ends
 * within `timeoutMs`, nothing is retried, redirects are not followed, sockets are closed.
 */
export interface Network {
  resolve(host: string, timeoutMs: number): Promise<Attempt<{ readonly addresses: readonly string[] }>>
  connect(
    target: { readonly host: string; readonly port: number },
    timeoutMs: number,
  ): Promise<Attempt<{ readonly address: string }>>
  /** The handshake alone, over the proxy where one is given. A certificate that is not trusted is an answer, not a failure. */
  tls(
    target: { readonly host: string; readonly port: number; readonly proxy?: string },
    timeoutMs: number,
  ): Promise<Attempt<{ readonly certificate: PeerCertificate; readonly protocol: string }>>
  /**
   * One request, over the proxy where one is given. Without one it goes straight, whatever the environment says. What a
   * proxy itself refuses is a failure of `connect` with the detail `PROXY_407` or whichever status it gave.
   */
  request(
    request: {
      readonly url: string
      readonly method: 'GET' | 'POST'
      readonly headers: Readonly<Record<string, string>>
      readonly body?: string
      readonly proxy?: string
      /** To see who answers in somebody's place: nothing secret may be in it. Default false. */
      readonly acceptsAnyCertificate?: boolean
    },
    timeoutMs: number,
  ): Promise<Attempt<RawAnswer>>
}

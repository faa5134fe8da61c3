import type { ReportAnswer } from '../api/types.ts'
import type { OpenEmbedded } from './embedded.ts'
import type { KeyturnClientError } from './errors.ts'
import type { Platform } from './platform.ts'

export type Fetch = typeof globalThis.fetch

export interface ClientOptions {
  /** Where Keyturn is. Default: `KEYTURN_URL`; where that is unset too, keys are resolved in this process. */
  readonly url?: string | URL
  /** The app token. Default: `KEYTURN_TOKEN`. */
  readonly token?: string
  /** A file that holds the app token, read again for every call, so that a turned token is found. Default: `KEYTURN_TOKEN_FILE`. */
  readonly tokenFile?: string
  /**
   * PEM files for an `https://` address, read again for every call: the authority that signs for Keyturn, in place of those that Node
   * knows, and a certificate that is shown to it, with its key. With a certificate no token is needed. Default: `KEYTURN_CA_FILE`,
   * `KEYTURN_CLIENT_CERT_FILE`, `KEYTURN_CLIENT_KEY_FILE`. With any of them all calls go by node:https.
   */
  readonly caFile?: string
  readonly clientCertFile?: string
  readonly clientKeyFile?: string
  /** Which credential is wanted. Default: `KEYTURN_CREDENTIAL`, else `openai`. */
  readonly credential?: string
  /**
   * Carries the calls to Keyturn (not those to OpenAI), for a proxy, a tracer. With a fetch of your own
   * there is no event stream, because it could keep the process alive: Keyturn is asked every 5 s instead.
   */
  readonly fetch?: Fetch
  /** Who is asking, in Keyturn's leases: stable for the life of the process. Default: random. */
  readonly instance?: string
  /** For how long a key is served without hearing from Keyturn, if that is shorter than what Keyturn allows, in milliseconds. */
  readonly staleAfterMs?: number
  /** How long a first key may take, retries included, in milliseconds, 1 to 2^31-1. Default 10,000. */
  readonly timeoutMs?: number
  /** Told of trouble in the background while the last key is served. Default: one process warning per kind of trouble. */
  readonly onError?: (error: KeyturnClientError) => void
  /** Read instead of `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Clock, timers, randomness and connections, for tests and unusual runtimes. */
  readonly platform?: Partial<Platform>
  /** How keys are resolved in this process where there is no url. Default: Keyturn's own resolver, loaded when it is needed. */
  readonly openEmbedded?: OpenEmbedded
}

/** A verified credential. Printed, inspected or made into JSON it shows `[secret]` in place of the key. */
export interface OpenAICredential {
  readonly name: string
  readonly apiKey: string
  readonly organization: string | null
  readonly project: string | null
  readonly baseUrl: string
  readonly version: string
  /** Says which key it is without telling the key. */
  readonly fingerprint: string
  readonly stage: string
  readonly verdict: string
  /** ISO 8601, UTC: when the key last proved itself. */
  readonly verifiedAt: string
  readonly rotatesAt: string | null
  /** Rises with every change of what is handed out. */
  readonly generation: number
}

/** Ready for `new OpenAI(…)`. */
export interface OpenAIOptions {
  apiKey: () => Promise<string>
  /** null, not undefined: the SDK then does not fall back on OPENAI_ORG_ID, which may name another organisation. */
  organization: string | null
  project: string | null
  baseURL: string
  fetch: Fetch
}

/** A refusal by OpenAI, told to Keyturn as a hint. */
export interface Refusal {
  /** Which version was refused. Default: the one that is served now. */
  readonly version?: string
  readonly status: number
  readonly code?: string
  readonly requestId?: string
}

/** All methods are bound: they can be passed on as functions. All of them reject with a KeyturnClientError. */
export interface KeyturnClient {
  /** The current verified key. Cheap enough to call for every request; whatever it is called with is ignored. */
  readonly getOpenAIKey: () => Promise<string>
  readonly getOpenAICredential: () => Promise<OpenAICredential>
  readonly openAIOptions: () => Promise<OpenAIOptions>
  /** A fetch that asks for another key when OpenAI refuses the one it sent, and then tries once more. */
  readonly withKeyRefresh: (fetch: Fetch) => Fetch
  readonly report: (refusal: Refusal) => Promise<ReportAnswer>
  /** Ends all background work. Calls that wait, and later ones, are refused with `stopping`. */
  readonly close: () => void
  /**
   * Closes it, and tells Keyturn that this process uses none of its keys any more, so that an old one need not wait for it: for the
   * end of a program. Takes a second at most and never rejects. With requests under way it only closes.
   */
  readonly end: () => Promise<void>
  readonly [Symbol.dispose]: () => void
}

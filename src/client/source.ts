import type { ReportAnswer } from '../api/types.ts'
import type { Answer } from './cache.ts'
import type { KeyturnClientError } from './errors.ts'
import type { Cancel } from './platform.ts'
import type { Refusal } from './types.ts'

export interface Question {
  /** The tag of the answer at hand: the same again comes back as `same`. */
  readonly etag?: string | undefined
  /** Asks to be answered only when there is something new, or after this long. */
  readonly holdSeconds?: number
  /** The oldest generation that this process still uses. */
  readonly inFlight: number | undefined
  /** A background question does not keep the process alive. */
  readonly isBackground: boolean
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

export type Reply =
  | { readonly kind: 'answer'; readonly answer: Answer }
  | { readonly kind: 'same'; readonly etag: string }
  /** Nothing can be handed out; `generation` where the source says as of when. */
  | { readonly kind: 'none'; readonly generation: number | undefined; readonly error: KeyturnClientError }

export interface Follower {
  /** The source is connected and would tell of changes (true), or is not (false). */
  readonly onLive: (isLive: boolean) => void
  /** Something may have changed: ask. */
  readonly onChange: () => void
  /** A sign of life. */
  readonly onHeard: () => void
  /** By what name the source knows this app. */
  readonly onNamed?: (app: string) => void
  readonly onTrouble: (error: KeyturnClientError) => void
  /** It works, but changes are seen later than they could be. */
  readonly onDegraded: (error: KeyturnClientError) => void
}

/** Where keys come from: the service over HTTP, or the resolver in this process. Failures are KeyturnClientErrors. */
export interface Source {
  /** For messages: the origin of the service, or `this process`. */
  readonly where: string
  /** How questions are put while `onLive` is not true: held by the source, plain ones at intervals, or not at all. */
  readonly idle: 'held' | 'plain' | 'none'
  ask(question: Question): Promise<Reply>
  report(refusal: Refusal & { readonly version: string }, signal: AbortSignal): Promise<ReportAnswer>
  /** Tells of changes until it is cancelled. Never keeps the process alive. */
  follow(
    follower: Follower,
    current: () => { readonly generation: number; readonly inFlight: number | undefined },
  ): Cancel
  /** Says that this process uses no key any more. */
  end(signal: AbortSignal): Promise<void>
  stop(): void
}

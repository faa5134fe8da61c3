import type { System } from '../../core/ports.ts'
import { explainFailure } from '../../core/transport-failure.ts'
import type { Attempt } from '../network.ts'

/** What one step has opened, and when it has to stop. */
export interface Scope {
  readonly signal: AbortSignal
  /** Taken down when the step ends, however it ends. */
  owns<Thing extends { destroy(): unknown }>(thing: Thing): Thing
}

/** A failure that this folder itself names. */
export class StepFailed extends Error {
  readonly code: string

  constructor(code: string) {
    super(code)
    this.code = code
  }
}

/** Runs one step under its timeout. Never rejects, and leaves nothing open. */
export async function attempt<Answer>(
  system: Pick<System, 'now' | 'after'>,
  timeoutMs: number,
  run: (scope: Scope) => Promise<Answer>,
): Promise<Attempt<Answer>> {
  const startedAt = system.now()
  const tookMs = () => Math.max(0, system.now() - startedAt)
  const opened: { destroy(): unknown }[] = []
  const over = new AbortController()
  const { promise: timeout, resolve } = Promise.withResolvers<undefined>()
  const cancel = system.after(timeoutMs, () => {
    over.abort()
    resolve(undefined)
  })
  const timedOut = (): Attempt<Answer> => ({ kind: 'failed', failure: 'timeout', tookMs: tookMs() })
  const scope: Scope = {
    signal: over.signal,
    owns(thing) {
      opened.push(thing)
      return thing
    },
  }
  try {
    return await Promise.race([
      run(scope).then(
        (answer): Attempt<Answer> => ({ kind: 'done', answer, tookMs: tookMs() }),
        (thrown: unknown) => (over.signal.aborted ? timedOut() : failed(thrown, tookMs())),
      ),
      timeout.then(timedOut),
    ])
  } finally {
    cancel()
    over.abort()
    // What lies above goes first: Node crashes where the connection is taken from under a handshake.
    for (const thing of opened.toReversed()) thing.destroy()
  }
}

function failed(thrown: unknown, tookMs: number): Attempt<never> {
  if (thrown instanceof StepFailed) return { kind: 'failed', failure: 'connect', detail: thrown.code, tookMs }
  const { failure, detail = codeOf(thrown) } = explainFailure(thrown)
  return { kind: 'failed', failure, ...(detail === undefined ? {} : { detail }), tookMs }
}

/** `HPE_INVALID_CONSTANT` and others that say what happened without saying which step it was. */
function codeOf(thrown: unknown): string | undefined {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
  return typeof code === 'string' && /^[A-Z][A-Z0-9_]{2,63}$/.test(code) ? code : undefined
}

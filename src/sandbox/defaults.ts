// The only file of the sandbox that touches the real clock, real randomness and real timers. Everything else
// receives them as arguments, so that a test can drive propagation with a virtual clock.

import { randomBytes } from 'node:crypto'

/** Epoch milliseconds from the machine's clock. */
export function systemNow(): number {
  return Date.now()
}

/** Bytes from the operating system's generator. */
export function systemRandom(bytes: number): Uint8Array {
  return new Uint8Array(randomBytes(bytes))
}

/**
 * Resolves after `ms` real milliseconds, or at once when `signal` aborts. It never rejects: closing the sandbox
 * must end a slow stream early, not break it.
 */
export function systemSleep(ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0 || signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', finish)
      resolve()
    }
    const timer = setTimeout(finish, Math.min(ms, limits.timerMsMax))
    signal.addEventListener('abort', finish)
  })
}

/** Every bound of the sandbox, in one place. */
export const limits = {
  bodyBytesMax: 1_048_576,
  controlBodyBytesMax: 65_536,
  // OpenAI documents 64 KiB as the most that all request headers together may take.
  headerBytesMax: 65_536,
  connectionsMax: 4_096,
  requestLogMax: 2_000,
  auditLogMax: 1_000,
  keysMax: 20_000,
  serviceAccountsMax: 5_000,
  // The documented default limit of projects in an organisation.
  projectsMax: 2_000,
  policiesPerKeyMax: 32,
  usesPerKeyMax: 128,
  faultsMax: 100,
  scopesPerKeyMax: 100,
  nameCharactersMax: 256,
  streamChunksMax: 10_000,
  edgesMax: 16,
  choicesMax: 8,
  timerMsMax: 2_147_483_647,
  keyLifetimeSecondsMax: 31_536_000,
  stateFileBytesMax: 67_108_864,
  // Longer than any client keeps an idle connection, so that the server's own close never races a request.
  keepAliveMs: 65_000,
  closeGraceMs: 2_000,
} as const

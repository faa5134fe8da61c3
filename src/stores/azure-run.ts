import type * as SecretsSdk from '@azure/keyvault-secrets'
import { KeyturnError } from '../core/errors.ts'
import type { System } from '../core/ports.ts'
import { type AzureCall, type AzurePermission, azureError } from './azure-errors.ts'

type PipelinePolicy = NonNullable<SecretsSdk.SecretClientOptions['additionalPolicies']>[number]['policy']

export interface CallLimits {
  readonly requestOptions: { readonly timeout: number }
  readonly abortSignal?: AbortSignal
}

interface RunRequest {
  readonly permission: AzurePermission
  readonly name: string
  /** By our clock: it is not waited for any longer, and cancelled. */
  readonly untilAt: number
}

export interface Runner {
  <Result>(request: RunRequest, send: (limits: CallLimits) => Promise<Result>): Promise<Result>
  /** Ends what is under way; nothing begins afterwards. */
  close(): void
}

export function limits(timeoutMs: number): CallLimits {
  return { requestOptions: { timeout: timeoutMs } }
}

/** The challenge, the token and the request itself. */
const exchangesPerCall = 2
const tokenAllowanceMs = 10_000

/** Runs one call under a limit of its own, whatever the SDK heeds, and turns what it throws into one of ours. */
export function createRunner(
  vault: string,
  { system, timeoutMs }: { readonly system: System; readonly timeoutMs: number },
): Runner {
  const open = new Set<AbortController>()
  let isClosed = false
  const run = async <Result>(
    { permission, name, untilAt }: RunRequest,
    send: (limits: CallLimits) => Promise<Result>,
  ): Promise<Result> => {
    const call: AzureCall = { permission, name, vault }
    if (isClosed) throw closedError(call)
    const limitMs = Math.min(exchangesPerCall * timeoutMs + tokenAllowanceMs, untilAt - system.now())
    // Nothing is sent of which the answer would come too late.
    if (limitMs <= 0) throw azureError(new LimitError(), call)
    const controller = new AbortController()
    open.add(controller)
    const over = Promise.withResolvers<never>()
    controller.signal.addEventListener('abort', () => over.reject(new LimitError()), { once: true })
    const cancel = system.after(limitMs, () => controller.abort(), { background: true })
    try {
      const sent = send({ ...limits(timeoutMs), abortSignal: controller.signal })
      return await Promise.race([sent, over.promise])
    } catch (thrown) {
      if (isClosed) throw closedError(call)
      throw azureError(thrown, call)
    } finally {
      cancel()
      open.delete(controller)
    }
  }
  return Object.assign(run, {
    close(): void {
      isClosed = true
      for (const controller of open) controller.abort()
    },
  })
}

class LimitError extends Error {
  override readonly name = 'TimeoutError'
}

function closedError({ name, vault }: AzureCall): KeyturnError {
  return new KeyturnError('store_unreachable', `The store ${vault} was closed while ${name} was asked for.`, {
    fix: 'Nothing is to be done: Keyturn is stopping.',
  })
}

/**
 * What must hold of every request, whatever version of the SDK sends it: it goes to the vault and nowhere else, a body
 * only with a token (older ones, and this one while it is being challenged, send some without), and never without end.
 */
export function guardPolicy(vault: string, timeoutMs: number): PipelinePolicy {
  const { origin } = new URL(vault)
  return {
    name: 'keyturnGuardPolicy',
    sendRequest(request, next) {
      if (new URL(request.url).origin !== origin)
        throw new KeyturnError(
          'store_malformed',
          `${vault} named an address elsewhere, which is not followed.`,
          {
            fix: 'Check the address of the vault, and whether a proxy answers in its place.',
          },
        )
      const hasBody = request.body !== undefined && request.body !== null
      if (hasBody && !request.headers.has('authorization'))
        throw new KeyturnError(
          'store_unreachable',
          `${vault} has not asked who we are yet: nothing was sent.`,
          {
            fix: 'Nothing is to be done: it is tried again.',
            retryable: true,
          },
        )
      // Pages after the first one come without the options of the call.
      if (request.timeout === 0) request.timeout = timeoutMs
      return next(request)
    },
  }
}

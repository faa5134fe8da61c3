import type { Config, CredentialConfig } from '../config.ts'
import { KeyturnError, toKeyturnError } from '../core/errors.ts'
import type { System } from '../core/ports.ts'
import type { RunningService } from '../engine/service.ts'
import { within } from '../engine/within.ts'
import {
  isSecretOf,
  performRotationStep,
  type RotationCall,
  readRotationCall,
} from '../hooks/aws-rotation.ts'
import { withService } from '../main.ts'
import { openAwsRotations } from '../stores/aws-rotation.ts'
import { createSystem } from '../system.ts'
import type { Environment } from './compose.ts'
import { loadFrom } from './configuration.ts'

/** What Lambda gives beside the event. */
export interface RotationContext {
  getRemainingTimeInMillis?(): number
}

export type RotationHandler = (event: unknown, context?: RotationContext) => Promise<void>

export interface RotationHandlerOptions {
  /** As of the process: KEYTURN_CONFIG, KEYTURN_HOME, what the configuration names, AWS_REGION. */
  readonly env: Environment
  readonly cwd: string
  readonly system?: System
}

/** Left for telling of alerts, up to twenty seconds, and for stopping: effects under way get up to ten. */
const stoppingMs = 35_000
/** Where nobody says how much time there is. */
const defaultMs = 60_000
const by = 'aws-secrets-manager'

/**
 * The function that AWS Secrets Manager calls to rotate a secret, and that EventBridge calls on a schedule so that old
 * keys are retired: docs/native-rotation.md. Each call opens the engine, does what it may by now, and closes it.
 *
 * Rejects where AWS is to try again, with a KeyturnError whose message holds the fix too, as it is all that AWS shows:
 * `bad_request`, `config_*`, `store_*`, `issuer_*`, `ledger_*`, `conflict`, `rotation_in_progress`, `rotation_halted`,
 * `blackout`, `no_verified_key`.
 */
export function createRotationHandler(options: RotationHandlerOptions): RotationHandler {
  return async (event, context) => {
    try {
      const system = options.system ?? createSystem()
      const call = readRotationCall(event)
      const config = await loadFrom(options)
      assertShared(config)
      const withinMs = Math.max(
        0,
        (context?.getRemainingTimeInMillis?.() ?? defaultMs + stoppingMs) - stoppingMs,
      )
      const parts = { ...options, system, withinMs }
      if (call.kind === 'step') await doStep(call, rotatedIn(call.secret, config, options.env), config, parts)
      else
        await withService({ ...parts, config }, async (service) => {
          await within(system, withinMs, service.tick())
        })
    } catch (thrown) {
      throw spokenOut(toKeyturnError(thrown, 'a step of a rotation'))
    }
  }
}

interface Parts extends RotationHandlerOptions {
  readonly system: System
  readonly withinMs: number
}

async function doStep(
  call: Extract<RotationCall, { kind: 'step' }>,
  { name, ref, store }: RotatedCredential,
  config: Config,
  parts: Parts,
): Promise<void> {
  const { env, system, withinMs } = parts
  const rotations = await openAwsRotations(store, { env, system, home: config.home, log: () => undefined })
  try {
    await withService({ ...parts, config }, (service) =>
      performRotationStep(call, {
        look: () => rotations.look(ref),
        release: () => rotations.release(ref, call.token),
        steer: (request) => service.steer(name, { ...request, by, withinMs }),
        verifyCurrent: () => verifyCurrent(service, name),
      }),
    )
  } finally {
    rotations.close()
  }
}

async function verifyCurrent(service: RunningService, name: string): Promise<void> {
  const { current } = await service.verify(name, { name: by })
  const check = current?.check
  if (check?.verdict === 'valid' || check?.verdict === 'restricted') return
  throw new KeyturnError('no_verified_key', `${name}: ${check?.summary ?? 'no key has been verified yet.'}`, {
    fix: check?.fix ?? `keyturn status ${name}`,
    retryable: true,
  })
}

type RotatedCredential = CredentialConfig & {
  readonly store: Extract<CredentialConfig['store'], { readonly kind: 'aws-secrets-manager' }>
}

/** The credential whose key is in this secret. */
function rotatedIn(secret: string, config: Config, env: Environment): RotatedCredential {
  const own = env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION']
  const found = config.credentials.find(
    (one): one is RotatedCredential =>
      one.store.kind === 'aws-secrets-manager' &&
      isSecretOf(secret, { ref: one.ref, region: one.store.region ?? own }),
  )
  if (found === undefined)
    throw new KeyturnError('config_missing', `No credential of ${config.source} has its key in ${secret}.`, {
      fix: 'Name the secret as ref of a credential whose store is aws-secrets-manager, in this region.',
    })
  if (found.schedule !== null && found.schedule !== undefined)
    throw notAlone(found.name, 'has a schedule of its own, and AWS rotates it', 'Set schedule: none.')
  if (found.policy.standby)
    throw notAlone(found.name, 'keeps a spare, which AWS knows nothing of', 'Take standby out of its policy.')
  return found
}

function notAlone(name: string, what: string, fix: string): KeyturnError {
  return new KeyturnError('config_invalid', `${name} ${what}.`, { fix })
}

/** What a function writes to its disk is gone with it: an overlap would begin anew, or an attempt be forgotten. */
function assertShared({ ledger, source }: Config): void {
  if (ledger?.kind === 'postgres') return
  throw new KeyturnError('config_missing', `A function keeps nothing, and ${source} names no ledger.`, {
    fix: 'Configure one: ledger: { kind: postgres, url: … }.',
  })
}

function spokenOut(error: KeyturnError): KeyturnError {
  const { code, message, fix, retryable } = error
  if (fix === undefined) return error
  return new KeyturnError(code, `${message} ${fix}`, { fix, retryable, cause: error })
}

import { KeyturnError } from '../core/errors.ts'
import type { SteerAnswer, SteerRequest } from '../core/steered.ts'
import type { Reach } from '../core/types.ts'
import { recordOf } from './due.ts'

/**
 * The four steps of a rotation of AWS Secrets Manager (its rotation template, read 2026-11-20), on the walk of a rotation
 * of ours: what each step allows it, the engine does. AWS repeats steps, sends them late and twice at once, and begins
 * again after a failure; so a step never does anything itself, it only says how far the walk may go and waits.
 */
export type RotationStep = 'createSecret' | 'setSecret' | 'testSecret' | 'finishSecret'

export type RotationCall =
  | { readonly kind: 'step'; readonly step: RotationStep; readonly secret: string; readonly token: string }
  /** Of a schedule: what is due is done, above all the retirement of old keys. */
  | { readonly kind: 'tick' }

/** What AWS has of the secret now. */
export interface RotatedSecret {
  /** Whether AWS's rotation is on. */
  readonly isRotated: boolean
  /** Labels by version. */
  readonly labels: ReadonlyMap<string, readonly string[]>
}

export interface RotationParts {
  /** Undefined: AWS says that there is no such secret. */
  readonly look: () => Promise<RotatedSecret | undefined>
  /**
   * Takes AWSPENDING off the version of this token where it is not current: while one has it AWS begins no other rotation.
   * Safe to repeat.
   */
  readonly release: () => Promise<void>
  readonly steer: (request: Omit<SteerRequest, 'by'>) => Promise<SteerAnswer>
  /** Proves the current key; throws where it does not work. */
  readonly verifyCurrent: () => Promise<void>
}

const steps: readonly string[] = ['createSecret', 'setSecret', 'testSecret', 'finishSecret']

const reachOf: Readonly<Record<RotationStep, Reach>> = {
  createSecret: 'staged',
  setSecret: 'staged',
  testSecret: 'proven',
  finishSecret: 'promoted',
}

/** AWS's own lengths; what is longer was made by somebody else. */
const tokenPattern = /^[A-Za-z0-9-]{32,64}$/
const secretCharsMax = 2_048

/** `bad_request` for anything that is neither a step nor an event of a schedule. Echoes nothing of it. */
export function readRotationCall(event: unknown): RotationCall {
  const fields = recordOf(event)
  if (fields['keyturn'] === 'tick' || fields['detail-type'] === 'Scheduled Event') return { kind: 'tick' }
  const { Step: step, SecretId: secret, ClientRequestToken: token } = fields
  const isWhole =
    isStep(step) &&
    typeof secret === 'string' &&
    secret.length > 0 &&
    secret.length <= secretCharsMax &&
    typeof token === 'string' &&
    tokenPattern.test(token)
  if (isWhole) return { kind: 'step', step, secret, token }
  throw new KeyturnError(
    'bad_request',
    'The event is neither a step of a rotation of Secrets Manager nor one of a schedule.',
    {
      fix: 'Let Secrets Manager invoke the function, or EventBridge on a schedule; by hand with { "keyturn": "tick" }.',
    },
  )
}

/** `arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-a1b2c3`: AWS adds six characters. */
const arnPattern = /^(arn:[^:]*:secretsmanager:([^:]*):\d*:secret:(.+))-[A-Za-z0-9]{6}$/

/**
 * Whether a secret that AWS names, by its ARN or its name, is the one that the configuration names: by a name, or an ARN
 * with or without what AWS adds. A name is one of its region; secrets that are replicated have the same in several.
 */
export function isSecretOf(
  asked: string,
  { ref, region }: { readonly ref: string; readonly region: string | undefined },
): boolean {
  if (asked === ref) return true
  const [, whole, there, name] = arnPattern.exec(asked) ?? []
  if (name === undefined) return arnPattern.exec(ref)?.[3] === asked
  return whole === ref || (name === ref && (region ?? there) === there)
}

/**
 * Does one step, and returns when it is done. Whatever is thrown makes AWS try again: `conflict` and
 * `rotation_halted` where that helps only after somebody has acted, others `retryable`.
 */
export async function performRotationStep(
  { step, secret, token }: Extract<RotationCall, { kind: 'step' }>,
  { look, release, steer, verifyCurrent }: RotationParts,
): Promise<void> {
  const found = await look()
  if (found === undefined)
    throw new KeyturnError('store_absent', `AWS has no secret ${secret}.`, {
      fix: 'Compare the ref and the region of the credential with the secret.',
    })
  if (!found.isRotated) throw notRotated(secret)
  const labels = found.labels.get(token) ?? []
  if (labels.includes('AWSCURRENT')) {
    // For AWS it is over. Where it was cut off after that, what is left of ours is done now.
    await steer({ token, upTo: 'promoted', how: 'go_on' })
    return
  }
  if (!labels.includes('AWSPENDING')) {
    // A document whose other fields changed is under another version of AWS by then.
    const isOver = (await steer({ token, upTo: 'promoted', how: 'look' })).kind === 'reached'
    if (isOver) return
    throw notStaged(secret, token)
  }
  const how = step === 'createSecret' ? 'begin' : 'go_on'
  const answer = await steer({ token, upTo: reachOf[step], how })
  switch (answer.kind) {
    case 'reached':
      // Current may be another version of AWS, with what somebody else changed in the document, and the label be left here.
      return step === 'finishSecret' ? release() : undefined
    case 'unknown':
      // AWS tries a new configuration with this step alone, on a version that it makes and takes away again.
      if (step === 'testSecret') return verifyCurrent()
      throw unknownRotation(secret, token, step)
    case 'going':
      throw new KeyturnError('rotation_in_progress', `${step} is not done yet. ${answer.summary}`, {
        fix: 'AWS calls again by itself; give the function more time (300 seconds).',
        retryable: true,
      })
    case 'stopped':
      throw new KeyturnError('rotation_halted', `${step} cannot be done: ${answer.summary}`, {
        fix: answer.fix,
      })
    case 'over':
      await release()
      throw new KeyturnError('rotation_halted', `${step} cannot be done: ${answer.summary}`, {
        fix: `${answer.fix} The next rotation brings another key; at once: aws secretsmanager rotate-secret.`.trim(),
      })
  }
}

function notRotated(secret: string): KeyturnError {
  return new KeyturnError('conflict', `The rotation of ${secret} is not enabled.`, {
    fix: 'Enable it: aws secretsmanager rotate-secret --rotation-lambda-arn … --rotation-rules …',
  })
}

function notStaged(secret: string, token: string): KeyturnError {
  return new KeyturnError('conflict', `Version ${token} of ${secret} is not the one that is being rotated.`, {
    fix: 'Nothing is to be done: a later rotation has taken its place, or it was given up.',
  })
}

function unknownRotation(secret: string, token: string, step: RotationStep): KeyturnError {
  const isFirst = step === 'createSecret'
  return new KeyturnError(
    'conflict',
    isFirst
      ? `No rotation of ${secret} could be begun in the time that there is.`
      : `${step} for a version of ${secret} of which the ledger knows nothing: createSecret did not end.`,
    {
      fix: `It is tried again. Where it stays so: aws secretsmanager update-secret-version-stage --secret-id '${secret}' --version-stage AWSPENDING --remove-from-version-id ${token}, then rotate-secret.`,
      retryable: true,
    },
  )
}

function isStep(value: unknown): value is RotationStep {
  return typeof value === 'string' && steps.includes(value)
}

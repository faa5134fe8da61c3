import { KeyturnError } from '../core/errors.ts'
import type { PermissionFinding } from '../core/ports.ts'
import { type AwsStore, currentLabel, ownLabel, ownVersionIn, secretAbsentError } from './aws-labels.ts'

/** A label that no version ever has: asking to take it away is refused by AWS, after it looked at the permission. */
const probeLabel = 'KEYTURN_PROBE'
const probeTag = 'keyturn:probe'

/**
 * What this identity may do, proven by calls that change nothing:
 * - PutSecretValue with the token and the value of the current version, which AWS takes for a repeat and ignores; should
 *   an emulator not ignore it, the same value gets a label that it is to have anyway;
 * - UpdateSecretVersionStage that takes a label away from a version that does not have it, which AWS refuses;
 * - UntagResource of a tag that is not there.
 * TagResource and CreateSecret would change something, and stay untested.
 */
export async function checkAws(store: AwsStore, ref: string): Promise<readonly PermissionFinding[]> {
  const { calls, createIfAbsent } = store
  const describing = await probe('DescribeSecret', ref, () => calls.describe(ref))
  if (describing.isGranted && describing.result === undefined) {
    if (createIfAbsent) return [describing.finding, untested('CreateSecret', ref)]
    throw secretAbsentError(store, ref)
  }
  const getting = await probe('GetSecretValue', ref, () => calls.get(ref, { label: currentLabel }))
  const findings = [describing.finding, getting.finding]
  const current = getting.isGranted ? getting.result : undefined
  if (current === undefined) {
    findings.push(untested('PutSecretValue', ref), untested('UpdateSecretVersionStage', ref))
  } else {
    const { version, text } = current
    const labels = [ownLabel(ownVersionIn(current.labels) ?? version)]
    const putting = await probe('PutSecretValue', ref, () => calls.put(ref, { version, text, labels }))
    const moving = await probe('UpdateSecretVersionStage', ref, () => refusedMove(store, ref, version))
    findings.push(putting.finding, moving.finding)
  }
  const untagging = await probe('UntagResource', ref, () => calls.untag(ref, [probeTag]))
  return [...findings, untested('TagResource', ref), untagging.finding]
}

type Probed<Result> = { readonly finding: PermissionFinding } & (
  | { readonly isGranted: true; readonly result: Result }
  | { readonly isGranted: false }
)

/** Refused: missing. Any other error says nothing about the permission, and is the caller's to know. */
async function probe<Result>(
  action: string,
  ref: string,
  call: () => Promise<Result>,
): Promise<Probed<Result>> {
  const permission = `secretsmanager:${action}`
  try {
    const result = await call()
    return { isGranted: true, result, finding: { permission, resource: ref, state: 'granted' } }
  } catch (thrown) {
    if (!(thrown instanceof KeyturnError && thrown.code === 'store_denied')) throw thrown
    const fix = thrown.fix === undefined ? {} : { fix: thrown.fix }
    return { isGranted: false, finding: { permission, resource: ref, state: 'missing', ...fix } }
  }
}

async function refusedMove({ calls }: AwsStore, ref: string, version: string): Promise<void> {
  try {
    await calls.move(ref, { label: probeLabel, from: version })
  } catch (thrown) {
    if (!(thrown instanceof KeyturnError && thrown.code === 'store_conflict')) throw thrown
  }
}

function untested(action: string, ref: string): PermissionFinding {
  return { permission: `secretsmanager:${action}`, resource: ref, state: 'untested' }
}

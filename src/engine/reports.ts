import { KeyturnError } from '../core/errors.ts'
import {
  latestRetirement,
  type Report,
  type ReportSource,
  retirementReport,
  rotationReport,
} from '../core/report.ts'
import type { Aftermath, CredentialState, VersionId } from '../core/types.ts'
import type { EngineDeps } from './setup.ts'

export interface ReportContext {
  readonly deps: Pick<EngineDeps, 'ledger' | 'system' | 'installation'>
  /** Keyturn's version. */
  readonly version: string
}

/** The report of any rotation that is kept. */
export async function reportOfRotation(
  id: string,
  state: CredentialState,
  context: ReportContext,
): Promise<Report> {
  const { ledger } = context.deps
  const { name } = state
  const rotation = state.rotation?.id === id ? state.rotation : await ledger.rotation(name, id)
  if (rotation === undefined)
    throw new KeyturnError('not_found', `${name} has no such rotation.`, {
      fix: `keyturn status ${name} shows the latest.`,
    })
  const setOff = await ledger.aftermath(name, { rotation: id })
  // The walk of the old key may have begun before, with a failover.
  const { from } = rotation
  const ofOld = from === undefined ? [] : await ledger.aftermath(name, { version: from })
  return rotationReport(rotation, sourceOf(state, [...setOff, ...ofOld], context))
}

/** The report of the latest retirement of a version, whatever set it off: by id, by a unique beginning of it, or by fingerprint. */
export async function reportOfVersion(
  text: string,
  state: CredentialState,
  context: ReportContext,
): Promise<Report> {
  const version = versionOf(text, state)
  const aftermath = await context.deps.ledger.aftermath(state.name, { version })
  const source = sourceOf(state, aftermath, context)
  const retirement = latestRetirement(version, source)
  if (retirement === undefined)
    throw new KeyturnError('not_found', `${state.name} has no such version that was retired.`, {
      fix: `keyturn versions ${state.name} lists them; a key that is in use has no such report.`,
    })
  return retirementReport(retirement, source)
}

function versionOf(text: string, { versions, retirements }: CredentialState): VersionId {
  const known = [
    ...versions.map(({ version, fingerprint }) => ({ version, fingerprint })),
    ...retirements.map(({ version, key }) => ({ version, fingerprint: key?.fingerprint })),
  ]
  const found = new Set(
    known
      .filter((one) => one.fingerprint === text || (text.length >= 4 && one.version.startsWith(text)))
      .map((one) => one.version),
  )
  const [only] = found
  return only !== undefined && found.size === 1 && !known.some((one) => one.version === text) ? only : text
}

function sourceOf(
  state: CredentialState,
  aftermath: readonly Aftermath[],
  { deps, version }: ReportContext,
): ReportSource {
  return {
    installation: deps.installation,
    keyturn: version,
    now: deps.system.now(),
    state,
    aftermath,
  }
}

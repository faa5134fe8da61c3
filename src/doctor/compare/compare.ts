import { toKeyturnError } from '../../core/errors.ts'
import { fingerprint as fingerprintOf } from '../../core/fingerprint.ts'
import { inspectSecret } from '../../core/key-inspection.ts'
import { redactKeys } from '../../core/key-shape.ts'
import type { Finding } from '../finding.ts'
import { type Proven, withoutCredentials } from '../report.ts'
import type { ComparePlace } from './places.ts'
import { readSide, type Side, type SideSources, stageOf } from './read-side.ts'

/** The key here beside the one of another place. */
export interface Comparison {
  readonly place: string
  readonly here: Side
  /** Null: it could not be looked at. */
  readonly there: Side | null
  readonly isSame: boolean | null
  readonly problem: { readonly code: string; readonly message: string; readonly fix: string | null } | null
}

/** Looks at each place, one after another: two programs at once would fight over a login. */
export async function comparePlaces(
  places: readonly ComparePlace[],
  sources: SideSources & { readonly proven: Proven },
): Promise<readonly Comparison[]> {
  const here = sideHere(sources)
  const comparisons: Comparison[] = []
  for (const place of places) comparisons.push(await comparisonWith(place, here, sources))
  return comparisons
}

async function comparisonWith(place: ComparePlace, here: Side, sources: SideSources): Promise<Comparison> {
  const { name } = place
  try {
    const there = await readSide(place, sources)
    return { place: name, here, there, isSame: there.fingerprint === here.fingerprint, problem: null }
  } catch (thrown) {
    const { code, message, fix = null } = toKeyturnError(thrown, `${name} could not be looked at`)
    return { place: name, here, there: null, isSame: null, problem: { code, message, fix } }
  }
}

function sideHere({ facts, hash, proven }: SideSources & { readonly proven: Proven }): Side {
  const { key, organization, project, baseUrl } = facts
  const print = key === undefined ? null : fingerprintOf(key.text, hash)
  return {
    fingerprint: print,
    kind: key === undefined ? null : inspectSecret(key.text).kind,
    stage: stageOf(print, facts),
    organization: proven.organization ?? organization?.value ?? null,
    project: proven.project ?? project?.value ?? null,
    baseUrl: baseUrl === undefined ? null : withoutCredentials(redactKeys(baseUrl.value)),
  }
}

/** T26: where the two are not the same. */
export function differences(comparisons: readonly Comparison[]): readonly Finding[] {
  return comparisons.flatMap(({ place, here, there, isSame }) => {
    if (there === null || isSame !== false) return []
    const [mine, other] = [here, there].map(({ fingerprint, stage }) =>
      fingerprint === null ? 'no key' : `the key ${fingerprint}${stage === null ? '' : ` (${stage})`}`,
    )
    const isOneMissing = here.fingerprint === null || there.fingerprint === null
    return [
      {
        code: 'key_differs',
        severity: isOneMissing ? 'error' : 'warning',
        seen: `${mine ?? ''} is here, ${other ?? ''} in ${place}`,
        cause: isOneMissing
          ? 'The key was set in one of the two places only, or is not passed on to the other.'
          : 'One of the two was changed and the other was not, or each has a key of its own.',
        fix: `Put the key of one place into the other, or let both take it from Keyturn: keyturn get NAME`,
        place: { kind: 'variable', name: place },
        ...(there.fingerprint === null ? {} : { fingerprint: there.fingerprint }),
      },
    ]
  })
}

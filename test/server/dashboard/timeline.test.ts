import { describe, expect, it } from 'vitest'
import type { RetirementSummary, VersionSummary } from '../../../src/api/types.ts'
import { lanesOf, timeline } from '../../../src/server/dashboard/timeline.ts'
import { relative } from '../../../src/server/dashboard/words.ts'

const hour = 3_600_000
const now = Date.UTC(2026, 5, 1)
const at = (hours: number): string => new Date(now + hours * hour).toISOString()

function version(name: string, facts: Partial<VersionSummary>): VersionSummary {
  return {
    version: name,
    stage: 'current',
    origin: 'minted',
    fingerprint: 'f00000000000',
    keyId: null,
    organization: null,
    project: null,
    serviceAccount: null,
    addedAt: at(-1),
    createdAt: null,
    expiresAt: null,
    promotedAt: null,
    verifiedAt: null,
    withdrawnAt: null,
    isCompromised: false,
    check: null,
    ...facts,
  }
}

function retirement(name: string, facts: Partial<RetirementSummary>): RetirementSummary {
  return {
    id: `r-${name}`,
    version: name,
    fingerprint: null,
    phase: 'draining',
    startedAt: at(-2),
    overlapUntil: at(22),
    heldBy: null,
    endedAt: null,
    halt: null,
    steps: [],
    ...facts,
  }
}

/** In hours from now. */
const drawn = (versions: readonly VersionSummary[], retirements: readonly RetirementSummary[] = []) =>
  lanesOf({ versions, retirements, now }).map(({ stretches }) =>
    stretches.map(({ kind, from, until }) => [kind, (from - now) / hour, (until - now) / hour]),
  )

describe('the lanes of the timeline', () => {
  it('show a key that waited, was handed out, and lives on beside its successor until its overlap ends', () => {
    const young = version('young', { addedAt: at(-3), promotedAt: at(-2) })
    const old = version('old', { stage: 'previous', addedAt: at(-50), promotedAt: at(-49) })
    expect(drawn([young, old], [retirement('old', {})])).toEqual([
      [
        ['before', -3, -2],
        ['current', -2, 0],
      ],
      [
        ['before', -50, -49],
        ['current', -49, -2],
        ['after', -2, 0],
        ['planned', 0, 22],
      ],
    ])
  })

  it('end where a key was withdrawn, proven dead, or only tried', () => {
    const check = { verdict: 'valid', cause: 'ok', summary: '', fix: '', checkedAt: at(-8) }
    const dead = version('dead', { stage: 'retired', addedAt: at(-20), promotedAt: at(-20) })
    const withdrawn = version('gone', {
      stage: 'retired',
      promotedAt: at(-9),
      addedAt: at(-9),
      withdrawnAt: at(-5),
    })
    const tried = version('tried', { stage: 'retired', addedAt: at(-9), check })
    expect(drawn([withdrawn, tried, dead], [retirement('dead', { endedAt: at(-6) })])).toEqual([
      [['current', -9, -5]],
      [['before', -9, -8]],
      [
        ['current', -20, -9],
        ['after', -9, -6],
      ],
    ])
  })

  it('show a key that is current again as handed out now', () => {
    const back = version('back', { addedAt: at(-9), promotedAt: at(-9) })
    const left = version('left', { stage: 'previous', addedAt: at(-5), promotedAt: at(-4) })
    expect(drawn([left, back])[1]).toEqual([['current', -9, 0]])
  })

  it('are said in words, and drawn within the picture', () => {
    const lanes = lanesOf({ versions: [version('one', { promotedAt: at(-1) })], retirements: [], now })
    const picture = timeline(lanes, now).toString()
    expect(picture).toContain('one (current): handed out from 60 minutes ago to now')
    for (const [, x = '', width = ''] of picture.matchAll(
      /<rect class="\w+" x="(\d+)" y="\d+" width="(\d+)"/g,
    ))
      expect(Number(x) + Number(width)).toBeLessThanOrEqual(1_000)
    expect(timeline([], now).toString()).toContain('no version')
  })
})

it.each([
  [0, 'now'],
  [999, 'now'],
  [-1_000, '1 second ago'],
  [90_000, 'in 90 seconds'],
  [36 * 86_400_000, 'in 36 days'],
  [-2 * 86_400_000, '2 days ago'],
  [400 * 86_400_000, 'in 13 months'],
])('%d ms are said as %s', (ms, said) => {
  expect(relative(ms)).toBe(said)
})

import { describe, expect, it } from 'vitest'
import { openAttemptMs } from '../../src/core/credential.ts'
import { evidenceNames } from '../../src/core/evidence.ts'
import { revokeVersion } from '../../src/core/operations.ts'
import {
  latestRetirement,
  type Report,
  type ReportSource,
  retirementReport,
  rotationReport,
} from '../../src/core/report.ts'
import { reportLines } from '../../src/core/report-text.ts'
import type { RetirementEvent } from '../../src/core/retirement.ts'
import { applyRetirement } from '../../src/core/retiring.ts'
import type { RotationEvent } from '../../src/core/rotation.ts'
import { settleSweep } from '../../src/core/sweep.ts'
import { takeOver } from '../../src/core/take-over.ts'
import type { Aftermath, CredentialState, Rotation } from '../../src/core/types.ts'
import { hourMs, minuteMs, recordWith, stateOf, verdictOf } from './fixtures.ts'
import { currentProved, evidenceOf, probed } from './retirement-ways.ts'
import {
  byAda,
  checked,
  discarded,
  lost,
  minted,
  nothing,
  pendingLost,
  Story,
  toDone,
  valid,
} from './story.ts'

/** A credential with a key of its own, which a rotation of Ada's replaces. */
function turning(...events: readonly RotationEvent[]): Story {
  const story = new Story(stateOf([recordWith('a', { stage: 'current' })]))
  return story.rotate().on(...events)
}

function turned(): Story {
  return turning(checked, minted('key-b'), ...toDone)
}

const quiet = evidenceOf({ movedOn: ['web (pod-1)'], asked: ['memory: openai'], lastUsedAt: 1_000 })
const toGone: readonly (RetirementEvent | number)[] = [
  hourMs,
  quiet,
  { kind: 'retired', places: ['memory: openai'] },
  currentProved('valid'),
  { kind: 'revoked', requestId: 'req_delete' },
]
const dead = probed('absent', 'rejected')
const toDead = [
  ...toGone,
  dead,
  minuteMs,
  dead,
  minuteMs,
  dead,
  { kind: 'destroyed', how: 'destroyed' } as const,
]

function retire(story: Story, events: readonly (RetirementEvent | number)[], version = 'a'): Story {
  for (const event of events) {
    if (typeof event === 'number') story.wait(event)
    else
      story.change((state, context) => {
        const id = state.retirements.find((one) => one.version === version)?.id ?? ''
        return applyRetirement(state, id, event, context)
      })
  }
  return story
}

function sourceOf(state: CredentialState, now: number, aftermath: readonly Aftermath[] = []): ReportSource {
  return { installation: 'inst1', keyturn: '1.2.3', now, state, aftermath }
}

function reportOf(story: Story, aftermath: readonly Aftermath[] = []): Report {
  const { rotation } = story.state
  if (rotation === undefined) throw new Error('the story has a rotation')
  return rotationReport(rotation, sourceOf(story.state, story.now, aftermath))
}

const kinds = (steps: readonly { readonly evidence: unknown }[]): readonly unknown[] =>
  steps.map(({ evidence }) => (evidence as { readonly kind: string } | null)?.kind ?? null)

describe('the report of a rotation', () => {
  it('says who, why, from which key to which, and what each step rests on, up to the proof of death', () => {
    const report = reportOf(retire(turned(), toDead))
    expect(report).toMatchObject({
      format: 'keyturn-report/1',
      subject: 'rotation',
      installation: 'inst1',
      keyturn: '1.2.3',
      credential: 'openai',
      isFinal: true,
      open: [],
      remarks: [],
      rotation: {
        requestedBy: 'ada',
        reason: 'asked',
        mode: 'normal',
        outcome: 'promoted',
        tookSeconds: 6,
        from: { version: 'a', fingerprint: 'f-a', keyId: 'key-a', origin: 'minted' },
        to: { keyId: 'key-b' },
        rules: { overlapSeconds: 3600, provingCount: 1 },
        attempts: [{ number: 1, fate: 'promoted', keyId: 'key-b' }],
      },
    })
    expect(kinds(report.rotation?.steps ?? [])).toEqual([
      'asked',
      null,
      'minted',
      'verifications',
      'expiry',
      'promoted',
      'read_back',
    ])
    const [retirement] = report.retirements
    expect(retirement).toMatchObject({ isProvenDead: true, requestedBy: 'ada', key: { fingerprint: 'f-a' } })
    expect(kinds(retirement?.steps ?? [])).toEqual([
      null,
      'gate',
      'retired',
      'answer',
      'deleted',
      'death',
      'destroyed',
    ])
    expect(retirement?.steps[1]?.evidence).toMatchObject({
      leases: { total: 1, movedOn: ['web (pod-1)'], holding: [] },
      lastUsedAt: '1970-01-01T00:00:01.000Z',
      asked: ['memory: openai'],
    })
    expect(retirement?.steps[4]?.evidence).toEqual({
      kind: 'deleted',
      keyId: 'key-a',
      requestId: 'req_delete',
    })
    expect(retirement?.steps[5]?.evidence).toMatchObject({ rejections: 3, total: 3 })
    expect(report.summary).toMatch(
      /asked for by ada \(asked\) handed out the new key f-.*f-a is proven dead\.$/,
    )
  })

  it('is plain data with instants as text, the same after JSON', () => {
    const report = reportOf(retire(turned(), toDead))
    expect(JSON.parse(JSON.stringify(report))).toEqual(report)
    expect(JSON.stringify(report)).not.toMatch(/"(?:at|since|\w+At|\w+Until)":\d/)
  })

  it('is not final while the old key is not proven dead, and says what is waited for', () => {
    const waiting = reportOf(retire(turned(), [hourMs, evidenceOf({ holders: ['web (pod-2)'] })]))
    expect(waiting.isFinal).toBe(false)
    expect(waiting.open).toEqual(['the old key f-a is draining: still in use by web (pod-2)'])
    expect(waiting.retirements[0]?.isProvenDead).toBe(false)
    const gone = retire(turned(), toGone)
    const unproven = reportOf(retire(gone, [31 * minuteMs, probed('absent', 'unknown')]))
    expect(unproven.isFinal).toBe(false)
    expect(unproven.remarks).toEqual(['the old key f-a was deleted and is not proven dead'])
    expect(kinds(unproven.retirements[0]?.steps ?? []).at(-1)).toBe('death')
  })

  it('is whole also when all that the state knew of it is forgotten', () => {
    const story = retire(turned(), toDead)
    const aftermath = story.state.retirements.map(
      (retirement) => ({ kind: 'retirement', retirement }) as const,
    )
    const forgetful = { ...story.state, versions: [], retirements: [] }
    const rotation = story.state.rotation as Rotation
    expect(rotationReport(rotation, sourceOf(forgetful, story.now, aftermath))).toEqual(reportOf(story))
  })

  it('tells a key that lives on: Keyturn did not make it, or it was taken back', () => {
    const found = new Story(stateOf([recordWith('a', { stage: 'current', origin: 'found' })]))
    const kept = reportOf(found.rotate().on(checked, minted('key-b'), ...toDone))
    expect(kept).toMatchObject({ isFinal: true, retirements: [{ phase: 'kept', isProvenDead: false }] })
    expect(kept.remarks.join()).toMatch(/f-a may be alive: Keyturn cannot revoke this key/)
    const back = turned().change((state, context) => takeOver(state, 'a', { ...byAda, who: 'bob' }, context))
    const report = reportOf(back)
    expect(report.retirements.map(({ key, phase }) => [key.version, phase])).toEqual([['a', 'kept']])
    expect(report.remarks.join()).toContain('taken back into use by bob')
  })

  it('of a rehearsal says what became of the key', () => {
    const story = new Story(stateOf([recordWith('a', { stage: 'current' })]))
    story.rotate('rehearsal').on(checked, minted('key-b'), valid, { kind: 'extended' })
    story.on({ kind: 'discarded', how: 'deleted', requestId: 'req_1', value: 'destroyed' })
    expect(reportOf(story)).toMatchObject({
      isFinal: true,
      retirements: [],
      rotation: { outcome: 'rehearsed', to: null, attempts: [{ fate: 'discarded', keyId: 'key-b' }] },
    })
    expect(reportOf(story).rotation?.steps.at(-1)?.evidence).toMatchObject({
      kind: 'discarded',
      keyId: 'key-b',
      how: 'deleted',
      requestId: 'req_1',
    })
  })

  it('of a rehearsal that failed says over what it stumbled, and what remains', () => {
    const story = new Story(stateOf([recordWith('a', { stage: 'current' })])).rotate('rehearsal')
    const permissions = [{ permission: 'write', resource: 'memory: openai', state: 'granted' } as const]
    story.on({ kind: 'checked', permissions }, minted('key-b'))
    story.on({ ...valid, verdict: verdictOf('blocked') }, { kind: 'discarded', residue: ['an audit row'] })
    const report = reportOf(story)
    expect(report).toMatchObject({
      isFinal: true,
      rotation: {
        outcome: 'rehearsal_failed',
        failure: { reason: 'proving_blocked' },
        permissions,
        residue: ['an audit row'],
        attempts: [{ fate: 'discarded' }],
      },
    })
    expect(report.rotation?.steps[1]?.evidence).toMatchObject({
      kind: 'permissions',
      granted: ['write on memory: openai'],
      total: 1,
    })
    expect(report.summary).toContain('would have failed: It is blocked.')
    expect(reportLines(report).join('\n')).toContain('What remains of it\n    - an audit row')
  })

  it('of one that halted says why, and by which answers', () => {
    const refused = { ...valid, verdict: verdictOf('blocked', { status: 403, requestId: 'req_9' }) }
    const report = reportOf(turning(checked, minted('key-b'), refused))
    expect(report).toMatchObject({ isFinal: false, open: ['the rotation has halted: It is blocked.'] })
    expect(report.rotation).toMatchObject({
      halt: { reason: 'proving_blocked' },
      attempts: [{ fate: 'pending' }],
    })
    expect(report.rotation?.steps.at(-1)?.evidence).toMatchObject({
      kind: 'verifications',
      total: 1,
      checks: [{ verdict: 'blocked', status: 403, requestId: 'req_9' }],
    })
    const unmade = turning(checked, {
      kind: 'mint_refused',
      verdict: verdictOf('exhausted', { status: 429 }),
    })
    expect(reportOf(unmade).rotation).toMatchObject({ attempts: [{ fate: 'refused' }] })
    expect(reportOf(unmade).rotation?.steps.at(-1)?.evidence).toMatchObject({
      kind: 'answer',
      check: { verdict: 'exhausted', status: 429 },
    })
  })

  it('names every attempt, also those before a resume, and what became of its key', () => {
    const story = turning(checked, minted('key-1'), pendingLost, discarded, lost, nothing, minted('key-3'))
    story.on(...toDone)
    const { attempts } = reportOf(story).rotation ?? {}
    expect(attempts?.map(({ number, fate }) => [number, fate])).toEqual([
      [1, 'discarded'],
      [2, 'searched'],
      [3, 'promoted'],
    ])
    expect(new Set(attempts?.map(({ marker }) => marker)).size).toBe(3)
    expect(attempts?.[0]?.keyId).toBe('key-1')
    expect(attempts?.[2]?.keyId).toBe('key-3')
  })

  it.each([
    ['absent', { kind: 'absent' } as const, 'none', []],
    ['landed late', { kind: 'revoked', keyId: 'key-late' } as const, 'late', [/landed late and was revoked/]],
    ['was put to use', { kind: 'in_use', keyId: 'key-late' } as const, 'in_use', [/put the key .* to use/]],
  ])('waits for a key that may still turn up, and says when it %s', (_what, found, fate, remarks) => {
    const story = turning(checked, lost, { kind: 'abort_asked', by: 'ada' }, nothing)
    const marker = story.state.openAttempts[0]?.marker ?? ''
    const before = reportOf(story)
    expect(before).toMatchObject({
      isFinal: false,
      rotation: { outcome: 'aborted', attempts: [{ fate: 'searched' }] },
    })
    expect(before.open.join()).toContain(`a key named ${marker} is looked for until`)
    story.wait(openAttemptMs).change((state, context) => settleSweep(state, marker, found, context))
    const after = reportOf(story)
    expect(after).toMatchObject({ isFinal: true, rotation: { attempts: [{ marker, fate }] } })
    expect(after.remarks).toEqual(remarks.map((one) => expect.stringMatching(one)))
    const [sweep] = story.state.sweeps ?? []
    const { sweeps: _gone, ...later } = story.state
    const fromLedger = sweep === undefined ? [] : [{ kind: 'sweep', sweep } as const]
    const told = rotationReport(later.rotation as Rotation, sourceOf(later, story.now, fromLedger))
    expect(told.rotation?.attempts).toEqual(after.rotation?.attempts)
    const unknown = rotationReport(later.rotation as Rotation, sourceOf(later, story.now))
    expect(unknown.rotation?.attempts).toMatchObject([{ fate: 'unknown' }])
  })

  it('of one that gave way says so', () => {
    const story = turning(checked, minted('key-b'), valid, { kind: 'extended' }, { kind: 'promote_lost' })
    story.on({ kind: 'inspected', finding: 'adopted' }, discarded)
    expect(reportOf(story)).toMatchObject({ isFinal: true, rotation: { outcome: 'superseded', to: null } })
    expect(reportOf(story).summary).toContain('gave way to a working key')
  })

  it('of the first key has no old one', () => {
    const story = new Story(stateOf([])).rotate().on(checked, minted('key-a'), ...toDone)
    expect(reportOf(story)).toMatchObject({
      isFinal: true,
      retirements: [],
      remarks: [],
      rotation: { from: null },
    })
  })

  it('of a compromised key tells its end, also where a failover had replaced it before', () => {
    const story = new Story(stateOf([recordWith('a', { stage: 'current' }), recordWith('b')]))
    story.rotate('emergency', true)
    story.change((state, context) => takeOver(state, 'b', { ...byAda, who: 'failover' }, context))
    story.on(checked, minted('key-c'), ...toDone)
    const report = reportOf(story)
    expect(report.rotation).toMatchObject({ isCompromised: true, mode: 'emergency', from: { version: 'b' } })
    expect(report.retirements.map(({ key }) => key.version).toSorted()).toEqual(['a', 'b'])
    expect(report.summary).toMatch(/an emergency rotation asked for by ada/)
    expect(report.remarks).toContain('the old key was said to be in the wrong hands')
    expect(report.remarks).toContain('the old key f-a was revoked without waiting for its users to move on')
    const ofA = report.retirements.find(({ key }) => key.version === 'a')
    expect(kinds(ofA?.steps ?? [])).toContain('asked')
  })

  it('keeps the first step, and says how many of those after it went', () => {
    const story = turning(checked)
    for (let round = 0; round < 40; round += 1)
      story.on({ kind: 'pause_asked', by: 'ada' }, { kind: 'resume_asked', by: 'ada' })
    const report = reportOf(story)
    expect(report.rotation?.steps).toHaveLength(60)
    expect(report.rotation?.steps[0]?.note).toBe('asked for by ada: asked')
    expect(report.rotation?.stepsDropped).toBe(22)
    expect(report.remarks).toEqual([expect.stringContaining('22 steps of the rotation are no longer kept')])
  })

  it('of a walk that an older version wrote down tells what is still known', () => {
    const story = retire(turned(), toDead)
    const { old: _old, rules: _rules, ...rotation } = story.state.rotation as Rotation
    const bare: Rotation = {
      ...rotation,
      attempts: rotation.attempts.map(({ key: _key, ...one }) => one),
      steps: rotation.steps.map(({ evidence: _evidence, ...one }) => one),
    }
    const retirements = story.state.retirements.map(
      ({ rotation: _link, key: _key, rules: _ruled, ...one }) => one,
    )
    const report = rotationReport(bare, sourceOf({ ...story.state, retirements }, story.now))
    expect(report.rotation).toMatchObject({
      from: { fingerprint: 'f-a' },
      to: { keyId: 'key-b' },
      rules: null,
    })
    expect(report.retirements).toMatchObject([{ isProvenDead: true, rotation: null, rules: null }])
    const forgotten = rotationReport(
      bare,
      sourceOf({ ...story.state, versions: [], retirements: [] }, story.now),
    )
    expect(forgotten.rotation?.from).toMatchObject({ version: 'a', fingerprint: null })
    expect(forgotten.remarks).toEqual(['what became of the old key is no longer known'])
  })
})

describe('the report of a retirement', () => {
  it('tells of a key that a person had revoked, and of no rotation', () => {
    const story = new Story(stateOf([recordWith('a', { stage: 'current' }), recordWith('b')]))
    story.change((state, context) =>
      revokeVersion(
        state,
        { version: 'b', keyId: 'key-b', by: 'ada', reason: 'found in a log', isEvenIfLast: false },
        context,
      ),
    )
    const source = sourceOf(story.state, story.now)
    const retirement = latestRetirement('b', source)
    if (retirement === undefined) throw new Error('it is being retired')
    expect(retirementReport(retirement, source)).toMatchObject({
      subject: 'retirement',
      rotation: null,
      isFinal: false,
      retirements: [
        { requestedBy: 'ada', reason: 'found in a log', rotation: null, key: { keyId: 'key-b' } },
      ],
    })
  })

  it('is of the latest walk of that key', () => {
    const story = turned().change((state, context) => takeOver(state, 'a', byAda, context))
    const first = story.state.retirements.find((one) => one.version === 'a')
    if (first === undefined) throw new Error('it was taken back')
    story.change((state, context) =>
      takeOver(state, state.rotation?.attempts[0]?.version ?? '', byAda, context),
    )
    const source = sourceOf(story.state, story.now, [{ kind: 'retirement', retirement: first }])
    expect(latestRetirement('a', source)?.id).not.toBe(first.id)
    expect(latestRetirement('a', source)?.phase).toBe('draining')
    expect(latestRetirement('nobody', source)).toBeUndefined()
  })
})

describe('the text of a report', () => {
  it('tells all of it, and nothing that a terminal obeys', () => {
    const story = retire(turned(), toDead)
    const report = reportOf(story)
    const nasty = { ...report, summary: 'red \u001b[31m and\nanother line' }
    const lines = reportLines(nasty)
    const text = lines.join('\n')
    for (const word of [
      'ada',
      'f-a',
      'key-b',
      'req_delete',
      'web (pod-1)',
      'proven dead    yes',
      'state          final',
    ])
      expect(text).toContain(word)
    expect(lines.every((line) => !/\p{Cc}/u.test(line))).toBe(true)
  })

  it('tells what goes on, and what must not be missed', () => {
    const text = reportLines(reportOf(retire(turned(), [hourMs, evidenceOf({ holders: ['web'] })]))).join(
      '\n',
    )
    expect(text).toContain('What goes on\n  - the old key f-a is draining: still in use by web')
    expect(text).toContain('not final')
  })
})

it('evidence takes no names that look like keys, however many there are and however long they are', () => {
  const key = ['sk', 'proj', 'x'.repeat(48)].join('-')
  const names = evidenceNames([`web (${key})`, 'y'.repeat(500), ...Array.from({ length: 50 }, () => 'z')])
  expect(names).toHaveLength(20)
  expect(names.join()).not.toContain(key)
  expect(names.every((one) => one.length <= 160)).toBe(true)
})

import { describe, expect, it } from 'vitest'
import { buildAlerts } from '../../src/config/alerts.ts'
import { alertsSchema } from '../../src/config/alerts-schema.ts'
import { defaultAlerts } from '../../src/config/default-alerts.ts'
import { alertCodes, alertOfEvent, alertOfTrouble, isAlertCode } from '../../src/core/alert-codes.ts'
import { type AlertedCredential, type AlertThresholds, alertsOf } from '../../src/core/alerts.ts'
import { errorCodes } from '../../src/core/errors.ts'
import { toldCodes } from '../docs/told-codes.ts'

const now = Date.UTC(2026, 10, 26)
const hour = 3_600_000
const day = 24 * hour
const { thresholds }: { readonly thresholds: AlertThresholds } = defaultAlerts
const iso = (at: number): string => new Date(at).toISOString()
const current = {
  version: 'v2',
  addedAt: iso(now - 10 * day),
  createdAt: iso(now - 10 * day),
  promotedAt: iso(now - day),
  expiresAt: null,
}

function credential(change: Partial<AlertedCredential> = {}): AlertedCredential {
  return {
    name: 'openai',
    isInternal: false,
    current,
    versions: [],
    rotation: null,
    rotatesAt: iso(now + 60 * day),
    blackoutUntil: null,
    troubles: [],
    ...change,
  }
}

function codesOf(change: Partial<AlertedCredential>, at = now): readonly string[] {
  return alertsOf(credential(change), at, thresholds).map(({ code, severity }) => `${code} ${severity}`)
}

const trouble = (code: string, since: string | null = iso(now)) => ({
  code,
  since,
  summary: 'It is so.',
  fix: 'Do it.',
})

describe('which alert a trouble is', () => {
  /** Events whose state shows afterwards: they need no alert of their own. */
  const shown = new Set(['key_rejected', 'standby_failed', 'standby_rejected'])

  it.each(Object.keys(toldCodes).filter((code) => !shown.has(code)))('%s: has one', (code) => {
    expect(alertOfEvent(code) ?? alertOfTrouble(code)).not.toBe('other_trouble')
  })

  it.each(errorCodes.filter((code) => /^(?:store|ledger)_/.test(code)))('%s: has one', (code) => {
    expect(alertOfTrouble(code)).not.toBe('other_trouble')
  })

  it.each(['restricted', 'throttled', 'exhausted', 'blocked', 'misconfigured'])(
    'key_%s: has one',
    (verdict) => {
      expect(alertOfTrouble(`key_${verdict}`)).not.toBe('other_trouble')
    },
  )

  it.each(['rejected', 'unknown', 'no_verified_key'])('%s: has one', (verdict) => {
    const code = verdict === 'no_verified_key' ? verdict : `check_${verdict}`
    expect(alertOfTrouble(code)).not.toBe('other_trouble')
  })

  it('is told all the same where nobody thought of it', () => {
    expect(codesOf({ troubles: [trouble('quite_new')] })).toEqual(['other_trouble warning'])
    expect(codesOf({ troubles: [trouble('toString')] })).toEqual(['other_trouble warning'])
    expect(alertCodes.every(isAlertCode)).toBe(true)
  })

  it('is one of the whole for the ledger, which every credential would tell of', () => {
    expect(codesOf({ troubles: [trouble('ledger_unreachable')] })).toEqual([])
  })
})

describe('what fires', () => {
  it('nothing where all is well', () => {
    expect(codesOf({})).toEqual([])
  })

  it.each([
    [31, []],
    [29, ['key_expiring warning']],
    [6, ['key_expiring warning']],
    [0.9, ['key_expiring critical']],
    [-1, ['key_expiring critical']],
  ])('a key that expires in %d days and that nothing turns before', (days, expected) => {
    const expiresAt = iso(now + days * day)
    expect(codesOf({ current: { ...current, expiresAt }, rotatesAt: null })).toEqual(expected)
  })

  it('becomes worse at each lead time', () => {
    const levels = [29, 6, 0.9].map((days) => {
      const expiresAt = iso(now + days * day)
      return alertsOf(credential({ current: { ...current, expiresAt }, rotatesAt: null }), now, thresholds)[0]
        ?.level
    })
    expect(levels).toEqual([...levels].toSorted((a = 0, b = 0) => a - b))
    expect(new Set(levels).size).toBe(3)
  })

  it('nothing for a key that is turned before it expires', () => {
    const expiresAt = iso(now + 7 * day)
    expect(codesOf({ current: { ...current, expiresAt }, rotatesAt: iso(now + 5 * day) })).toEqual([])
  })

  it('the admin key under names of its own', () => {
    const expiresAt = iso(now + 7 * day)
    const internal = { isInternal: true, rotatesAt: null }
    expect(codesOf({ ...internal, current: { ...current, expiresAt } })).toEqual([
      'admin_key_expiring warning',
    ])
    const old = { ...current, createdAt: iso(now - 91 * day) }
    expect(codesOf({ ...internal, current: old })).toEqual(['admin_key_ageing warning'])
    expect(codesOf({ isInternal: true, current: old })).toEqual([])
  })

  it('a rotation that is near, late, held, under way, or waits for a key', () => {
    expect(codesOf({ rotatesAt: iso(now + hour) })).toEqual(['rotation_due_soon note'])
    expect(codesOf({ rotatesAt: iso(now - 30 * 60_000) })).toEqual([])
    expect(codesOf({ rotatesAt: iso(now - 2 * hour) })).toEqual(['rotation_overdue warning'])
    expect(codesOf({ rotatesAt: iso(now - 2 * hour), blackoutUntil: iso(now + hour) })).toEqual([])
    const rotation = { phase: 'proving', mode: 'normal', phaseAt: iso(now), deadlineAt: null }
    expect(codesOf({ rotatesAt: iso(now - 2 * hour), rotation })).toEqual([])
    expect(codesOf({ rotation: { ...rotation, phase: 'awaiting' } })).toEqual(['rotation_waiting warning'])
  })

  it('an emergency that is halted is critical, another rotation is not', () => {
    const halted = { phase: 'halted', mode: 'normal', phaseAt: iso(now), deadlineAt: null }
    const troubles = [trouble('rotation_halted')]
    expect(codesOf({ troubles, rotation: halted })).toEqual(['rotation_halted warning'])
    expect(codesOf({ troubles, rotation: { ...halted, mode: 'emergency' } })).toEqual([
      'rotation_halted critical',
    ])
  })

  it('a rejected key: a failover where another took its place, for an hour; else that it is rejected', () => {
    const check = { verdict: 'rejected', summary: 'OpenAI refuses it.', fix: 'Bring another.' }
    const dead = { version: 'v1', fingerprint: 'abc', withdrawnAt: iso(now), isCompromised: false, check }
    expect(codesOf({ versions: [dead] })).toEqual(['failover warning'])
    expect(codesOf({ versions: [dead] }, now + hour)).toEqual([])
    expect(codesOf({ versions: [{ ...dead, version: 'v2' }] })).toEqual(['key_rejected critical'])
    expect(codesOf({ versions: [{ ...dead, isCompromised: true }] })).toEqual([])
  })

  it('that nothing can be handed out, and not once more that the key was rejected which nobody has any more', () => {
    const check = { verdict: 'rejected', summary: 'OpenAI refuses it.', fix: 'Bring another.' }
    const dead = { version: 'v1', fingerprint: 'abc', withdrawnAt: iso(now), isCompromised: false, check }
    const troubles = [trouble('no_verified_key')]
    for (const version of ['v1', 'v2'])
      expect(codesOf({ versions: [{ ...dead, version }], troubles })).toEqual(['no_verified_key critical'])
    expect(codesOf({ current: null, versions: [dead], troubles })).toEqual(['no_verified_key critical'])
  })

  it('a failover with the time from which apps had another key, which may have had to be made first', () => {
    const check = { verdict: 'rejected', summary: 'OpenAI refuses it.', fix: 'Bring another.' }
    const dead = { version: 'v1', fingerprint: 'abc', withdrawnAt: iso(now), isCompromised: false, check }
    const tookAt = (promotedAt: string | null) => {
      const told = credential({ current: { ...current, promotedAt }, versions: [dead] })
      return alertsOf(told, now + 120_000, thresholds).map(
        ({ summary }) => / place at (\S+)\. /.exec(summary)?.[1],
      )
    }
    expect(tookAt(iso(now + 60_000))).toEqual([iso(now + 60_000)])
    // A spare, and one of before.
    for (const promotedAt of [iso(now), iso(now - day), null]) expect(tookAt(promotedAt)).toEqual([iso(now)])
  })

  it('waits a minute for the first check of a start', () => {
    const [first] = alertsOf(credential({ troubles: [trouble('no_verified_key', null)] }), now, thresholds)
    const [outage] = alertsOf(credential({ troubles: [trouble('no_verified_key')] }), now, thresholds)
    expect(first?.holdMs).toBe(60_000)
    expect(outage?.holdMs).toBeLessThan(10_000)
  })
})

it('the thresholds without a file are those that the file has by default', () => {
  const never = (): never => {
    throw new Error('nothing is wrong with the defaults')
  }
  const context = { resolve: String, names: [], sources: {}, report: never, warn: never }
  expect(buildAlerts(alertsSchema.parse(undefined), context)).toEqual(defaultAlerts)
})

import { afterEach, describe, expect, it, vi } from 'vitest'
import { queryOf } from '../../src/server/audit-routes.ts'

afterEach(() => void vi.unstubAllEnvs())

describe('an instant of a question to the audit', () => {
  it.each([
    ['2026-11-01T10:00:00Z', '2026-11-01T10:00:00.000Z'],
    ['2026-11-01T10:00:00.25+05:30', '2026-11-01T04:30:00.250Z'],
    ['2026-11-01', '2026-11-01T00:00:00.000Z'],
    ['2026-11-01T10:00', '2026-11-01T10:00:00.000Z'],
    ['2026-11-01T10:00:00', '2026-11-01T10:00:00.000Z'],
  ])('is %s in UTC where it names no zone, wherever the service runs', (since, at) => {
    vi.stubEnv('TZ', 'America/New_York')
    expect(new Date(2026, 0, 1).toISOString()).toBe('2026-01-01T05:00:00.000Z')
    expect(queryOf({ since, until: since }).filter).toEqual({ since: at, until: at })
  })

  it.each([
    'yesterday',
    '2026-11',
    '2026-11-31T00:00:00Z',
    '2026-13-01',
    '2026-11-01T25:00Z',
    '11.01.2026.',
    '2026-11-01 10:00',
  ])('is refused by the name of its parameter where it is %j', (since) => {
    expect(() => queryOf({ since })).toThrow(
      expect.objectContaining({ code: 'bad_request', message: expect.stringContaining('`since`') }),
    )
  })
})

import { describe, expect, it } from 'vitest'
import type { ApprovalSummary, CredentialSummary, LeaseSummary } from '../../../src/api/types.ts'
import { overviewBody, overviewQuery, selected } from '../../../src/server/dashboard/overview.ts'
import { createFakeService } from '../fake-service.ts'

const now = Date.UTC(2026, 10, 26)

async function credentials(...names: string[]): Promise<readonly CredentialSummary[]> {
  return createFakeService(names).summaries()
}

function shown(
  all: readonly CredentialSummary[],
  asked: Readonly<Record<string, unknown>> = {},
  leases: readonly LeaseSummary[] = [],
  waiting: ReadonlyMap<string, readonly ApprovalSummary[]> = new Map(),
): string {
  const query = overviewQuery(asked)
  const rows = selected(all, query)
  return overviewBody({
    all,
    rows,
    waiting,
    leases: new Map(all.map(({ name }) => [name, leases])),
    query,
    found: rows.length,
    now,
  }).toString()
}

const lease = (app: string, instance: string, generation: number): LeaseSummary => ({
  app,
  instance,
  generation,
  seenAt: new Date(now).toISOString(),
})

const unproven = (one: CredentialSummary): CredentialSummary => ({
  ...one,
  current: one.current === null ? null : { ...one.current, verifiedAt: null },
})

describe('the first sentence of the overview', () => {
  it('says that all is well only where every key was proven', async () => {
    const all = await credentials('one', 'two')
    expect(shown(all)).toContain('All well: 2 credentials, nothing to do.')
    const text = shown(all.map((one, index) => (index === 0 ? unproven(one) : one)))
    expect(text).toContain('<p class="verdict attention"><strong>1 of 2 not verified yet.</strong>')
  })

  it('is no good news where nothing may be seen', () => {
    expect(shown([])).toContain('<p class="verdict attention">')
  })
})

describe('the overview', () => {
  it('finds a name whatever its capitals, and says how to come back to all', async () => {
    const text = shown(await credentials('openai', 'billing'), { q: ' OpenAI' })
    expect([text.includes('to-openai'), text.includes('to-billing')]).toEqual([true, false])
    expect(text).toContain('id="show-all"')
  })

  it('shows what is wrong first, of a thousand too', async () => {
    const names = Array.from({ length: 1_000 }, (_, index) => `team-${index}`)
    const all = (await credentials(...names)).map((one) =>
      one.name === 'team-998' ? { ...one, current: null } : one.name === 'team-999' ? unproven(one) : one,
    )
    const rows = [...shown(all).matchAll(/id="to-([^"]+)"/g)].map(([, name]) => name)
    expect(rows.slice(0, 3)).toEqual(['team-998', 'team-999', 'team-0'])
  })

  it('shows first what waits for a second person, and says so', async () => {
    const one = {
      id: 'apr_1',
      act: 'emergency' as const,
      version: null,
      isCompromised: true,
      isEvenIfLast: false,
    }
    const when = { requestedBy: 'anna', requestedAt: '', expiresAt: '', reason: null }
    const text = shown(await credentials('a', 'b'), {}, [], new Map([['b', [{ ...one, ...when }]]]))
    expect(text).toContain('1 act waits for a second person.')
    expect(text.indexOf('to-b')).toBeLessThan(text.indexOf('to-a'))
    expect(text).toContain('anna asked for an emergency rotation.')
  })

  it('leaves the search out where all is seen at a glance', async () => {
    const six = Array.from({ length: 6 }, (_, index) => `team-${index}`)
    expect(shown(await credentials(...six.slice(0, 5)))).not.toContain('role="search"')
    expect(shown(await credentials(...six))).toContain('role="search"')
  })

  it('names the apps that use a key, those on an older one first', async () => {
    const all = await credentials('openai')
    const leases = [lease('web', 'a', 1), lease('web', 'b', 1), lease('zoo', 'c', 0), lease('zoo', 'd', 1)]
    const text = shown(all, {}, [...leases, lease('x', 'e', 1), lease('y', 'f', 1)]).replaceAll(
      /<[^>]+>/g,
      '',
    )
    expect(text).toMatch(/zoo: 2 instances, ▲\u00a01 on an older key.*web: 2 instances, on this key/)
    expect(text).toContain('and 1 other app')
  })
})

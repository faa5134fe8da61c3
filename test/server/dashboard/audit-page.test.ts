import { describe, expect, it } from 'vitest'
import type { AuditRow } from '../../../src/api/types.ts'
import type { AuditReader } from '../../../src/server/audit-routes.ts'
import { auditView } from '../../../src/server/dashboard/audit-page.ts'
import { startServer } from '../harness.ts'
import { signedIn } from './browser.ts'

/** A journal of so many rows, of which each tenth is a refusal. */
function journal(count: number): AuditReader {
  const rows = Array.from({ length: count }, (_, index): AuditRow => {
    const seq = index + 1
    const kind = seq % 10 === 0 ? 'refusal' : 'act'
    const row = {
      seq,
      at: new Date(seq).toISOString(),
      kind,
      action: 'x',
      outcome: 'done',
      prev: '',
      hash: '',
    }
    return { ...row, credential: '<b>', caller: { id: 'tok_1', name: 'anna' } } as AuditRow
  })
  const status = {
    journal: 'j',
    reads: 'durable',
    seq: count,
    durable: count,
    sealed: count,
    refused: 0,
    lost: 0,
    sinks: [],
    headTroubles: [],
  }
  return {
    status: () => status,
    heads: async () => ({ ...status, items: [] }),
    async page({ after, limit, filter }) {
      const items = rows
        .filter(({ seq, kind }) => seq > after && (filter.kind === undefined || kind === filter.kind))
        .slice(0, limit)
      const through = items.length < limit ? count : (items.at(-1)?.seq ?? after)
      return { journal: 'j', items, through, isEnd: items.length < limit }
    },
  }
}

const seqs = async (reader: AuditReader, query: Readonly<Record<string, string>>) => {
  const { rows, olderBefore, problem } = await auditView({ reader, query, now: 0 })
  return { first: rows[0]?.seq, last: rows.at(-1)?.seq, count: rows.length, olderBefore, code: problem?.code }
}

describe('the audit page', () => {
  it('begins with the newest row, and leads back to the first without leaving one out', async () => {
    const reader = journal(250)
    expect(await seqs(reader, {})).toMatchObject({ first: 250, last: 151, olderBefore: 151 })
    expect(await seqs(reader, { before: '151' })).toMatchObject({ first: 150, last: 51, olderBefore: 51 })
    expect(await seqs(reader, { before: '51' })).toMatchObject({ first: 50, last: 1, olderBefore: undefined })
  })

  it('searches a bounded way back, and says where to go on', async () => {
    const reader = journal(12_000)
    expect(await seqs(reader, { kind: 'refusal' })).toMatchObject({
      first: 12_000,
      count: 100,
      olderBefore: 11_010,
    })
    const none = await seqs(reader, { kind: 'read' })
    expect(none).toMatchObject({ count: 0, olderBefore: 7_001 })
    expect(await seqs(reader, { kind: 'read', before: '2001' })).toMatchObject({ olderBefore: undefined })
  })

  it('shows nothing for a journal without rows', async () => {
    expect(await seqs(journal(0), {})).toMatchObject({ count: 0, olderBefore: undefined })
  })

  it('takes instants as it shows them, and names with a capital', async () => {
    const asked: unknown[] = []
    const reader = journal(1)
    const noting: AuditReader = {
      ...reader,
      page: (query) => (asked.push(query.filter), reader.page(query)),
    }
    await seqs(noting, { since: '2026-11-26 03:04:05 UTC', until: '2026-11-27 03:04', credential: 'OpenAI' })
    expect(asked).toEqual([
      { since: '2026-11-26T03:04:05.000Z', until: '2026-11-27T03:04:00.000Z', credential: 'openai' },
    ])
  })

  it('says which field cannot be used, and shows rows as text', async () => {
    const harness = await startServer({ auditReader: journal(20) })
    const browser = await signedIn(harness)
    const wrong = await browser.open('/audit?since=yesterday')
    expect([wrong.status, wrong.text]).toEqual([
      400,
      expect.stringContaining('What stands under “From (UTC)” cannot be searched for.'),
    ])
    const { text } = await browser.open('/audit?kind=refusal&caller=')
    expect(text.match(/<th scope="row">/g)).toHaveLength(2)
    expect(text).toContain('&lt;b&gt;')
  })
})

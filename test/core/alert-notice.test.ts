import { expect, it } from 'vitest'
import type { Incident, Member } from '../../src/core/alert-book.ts'
import type { Delivery } from '../../src/core/alert-deliveries.ts'
import { linesOf, noticeOf } from '../../src/core/alert-notice.ts'

const at = Date.UTC(2026, 10, 26)
const active = (name: string): Member => ({ alert: `${name}/key_rejected`, level: 20 })
const over = (name: string, resolvedAs: number): Member => ({ ...active(name), awaySince: at, resolvedAs })

function delivery(members: readonly Member[], change: Partial<Delivery> = {}): Delivery {
  const [actives, resolved] = [
    members.filter((one) => one.resolvedAs === undefined),
    members.filter((one) => one.resolvedAs !== undefined),
  ]
  const incident: Incident = {
    id: 'keyturn-inst-1',
    code: 'key_rejected',
    openedAt: at,
    since: at,
    changes: 0,
    others: 0,
    texts: members.map(({ alert }) => ({ alert, summary: `${alert} is so.`, fix: 'Mend it.' })),
    members,
    apps: [],
    told: {},
  }
  return {
    id: 'keyturn-inst-1-1-ops',
    channel: 'ops',
    incident,
    kind: 'resolved',
    isOver: actives.length === 0,
    severity: 'critical',
    active: actives,
    isWhole: true,
    resolved,
    rises: 0,
    resolvedThrough: 0,
    tries: 0,
    ...change,
  }
}

it('never says of what goes on that it is over: the end of a part names who is still affected', () => {
  const { title } = noticeOf(delivery([over('one', 1), active('two')]), undefined, at)
  expect(title).toBe('Over for some: OpenAI rejects the key (still two)')
  const more = noticeOf(delivery([over('one', 1), active('two'), active('three')]), undefined, at)
  expect(more.title).toBe('Over for some: OpenAI rejects the key (still 2 credentials)')
  expect(linesOf(more)).toContain('Over for: one.')
  const end = noticeOf(delivery([over('one', 1)]), undefined, at)
  expect(end.title).toBe('Over: OpenAI rejects the key (one)')
})

it('says since when it has been so, which may be long before anybody was told, and of what is over that it was', () => {
  const both = delivery([active('one')])
  const since = at - 6 * 86_400_000
  const incident = { ...both.incident, since }
  const lines = linesOf(noticeOf({ ...both, incident, kind: 'opened' }, undefined, at))
  expect(lines[0]).toBe('one/key_rejected is so.')
  expect(lines.at(-1)).toBe('Since 2026-11-20T00:00:00.000Z.')
  const ended = { ...delivery([over('one', 1)]), incident: { ...incident, members: [over('one', 1)] } }
  const last = linesOf(noticeOf(ended, undefined, at))
  expect(last).toEqual(['It was: one/key_rejected is so.', 'Since 2026-11-20T00:00:00.000Z. It is over.'])
})

it('tells how many began together, which does not change when some are over', () => {
  const count = (members: readonly Member[]): number =>
    noticeOf(delivery(members), undefined, at).membersCount
  expect(count([active('one'), active('two')])).toBe(2)
  expect(count([over('one', 1), active('two')])).toBe(2)
  expect(count([over('one', 1), over('two', 2)])).toBe(2)
})

it('says what happened and what to do also of those whose own words were not kept', () => {
  const many = delivery([active('one'), active('two')])
  const notice = noticeOf(
    {
      ...many,
      kind: 'opened',
      incident: { ...many.incident, texts: many.incident.texts.slice(0, 1) },
      active: [active('two')],
    },
    undefined,
    at,
  )
  expect(notice.happened).toEqual(['OpenAI rejects the key: two.'])
  expect(notice.fixes).toEqual(['keyturn status two says why, and what to do.'])
})

it('names to a channel of some credentials no apps that may hold the others', () => {
  const both = delivery([active('one'), active('two')])
  const incident = { ...both.incident, apps: ['checkout'] }
  const told = (isWhole: boolean) => noticeOf({ ...both, incident, isWhole }, undefined, at).apps
  expect(told(true)).toEqual(['checkout'])
  expect(told(false)).toEqual([])
})

it('keeps every sentence on one line, whoever chose the words in it', () => {
  const forged = delivery([active('openai')])
  const [text] = forged.incident.texts
  const summary = `A file ${['r\r\nBcc: a@b.c', '\u2028', '\u0000', '\u202Ecod', '\tx'].join('')} is bad.`
  const incident = {
    ...forged.incident,
    texts: [{ alert: text?.alert ?? '', summary, fix: 'Run\nthis.' }],
    apps: ['check\r\nout'],
  }
  const notice = noticeOf({ ...forged, incident, kind: 'opened' }, undefined, at)
  for (const line of [notice.title, ...linesOf(notice)])
    expect(line).not.toMatch(/[\p{Cc}\u2028\u2029\u202A-\u202E]/u)
  expect(notice.happened).toEqual(['A file r Bcc: a@b.c cod x is bad.'])
})

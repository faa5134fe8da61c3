import { expect, test } from 'vitest'
import { openChannel } from '../../src/alerts/index.ts'
import { type AlertNotice, testNotice } from '../../src/core/alert-notice.ts'
import type { Log } from '../../src/core/ports.ts'
import { contextOf } from './drivers.ts'

const notice: AlertNotice = {
  ...testNotice('log', { installation: '0a1b2c3d', linkBase: undefined, unique: '1' }, 0),
  kind: 'opened',
  code: 'no_verified_key',
  severity: 'critical',
  credentials: ['openai'],
}

async function linesOf(notices: readonly AlertNotice[]) {
  const lines: Parameters<Log>[] = []
  const channel = await openChannel({ kind: 'log' }, contextOf({ log: (...line) => lines.push(line) }))
  const outcomes = await Promise.all(notices.map((one) => channel.deliver(one)))
  await channel.close()
  return { lines, outcomes }
}

test('a notice is a line whose level, message and fields a filter can look for', async () => {
  const { lines, outcomes } = await linesOf([notice])
  expect(outcomes).toEqual([{ kind: 'delivered' }])
  expect(lines).toEqual([
    [
      'error',
      'an alert',
      expect.objectContaining({
        alert: 'opened',
        code: 'no_verified_key',
        severity: 'critical',
        isOver: false,
        credentials: ['openai'],
      }),
    ],
  ])
})

test('a warning is a warning, and what is over or a note is information', async () => {
  const { lines } = await linesOf([
    { ...notice, severity: 'warning' },
    { ...notice, severity: 'note' },
    { ...notice, isOver: true, kind: 'resolved' },
  ])
  expect(lines.map(([level]) => level)).toEqual(['warn', 'info', 'info'])
})

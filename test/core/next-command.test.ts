import { expect, it } from 'vitest'
import { resumeOrAbort, thenRun } from '../../src/core/next-command.ts'

it.each([
  ['', 'Then run: keyturn resume a'],
  ['Mend it.', 'Mend it. Then run: keyturn resume a'],
  [
    'Bring one: keyturn bring a < key.txt',
    'Bring one: keyturn bring a < key.txt; then run: keyturn resume a',
  ],
])('after %j comes the command, told apart from it, and named once', (fix, told) => {
  expect(thenRun(fix, 'keyturn resume a')).toBe(told)
  const both = `${told}, or give it up: keyturn abort a`
  expect([resumeOrAbort(fix, 'a'), resumeOrAbort(told, 'a')]).toEqual([both, both])
})

import { expect, it } from 'vitest'
import { renderDetail, renderList, type View } from '../../src/cli/summary.ts'
import { start, summaryOf } from './samples.ts'

const view: View = {
  now: start,
  out: { paint: (_style, text) => text, table: (rows) => rows.map((row) => row.join('  ')) },
}

it('an internal credential is told apart from those that apps can ask for', () => {
  const all = [summaryOf('openai'), summaryOf('main-admin', { isInternal: true })]
  const lines = renderList(all, view)
  expect(lines[1]).toMatch(/^openai {2}/)
  expect(lines[2]).toMatch(/^main-admin \(internal\) {2}/)
  expect(renderDetail(summaryOf('main-admin', { isInternal: true }), view)[0]).toBe(
    'main-admin (internal: handed out to nobody)',
  )
})

import { expect, it } from 'vitest'
import type { CredentialSummary } from '../../src/api/types.ts'
import { endingOf } from '../../src/cli/progress.ts'
import { renderDetail, renderList, renderVersions, type View } from '../../src/cli/summary.ts'
import { instant, rotationAt, start, summaryOf, versionSummary } from './samples.ts'

const view: View = {
  now: start,
  out: { paint: (_style, text) => text, columns: Number.POSITIVE_INFINITY },
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

it('a cause that is the trouble of two things is told once', () => {
  const trouble = { since: instant(0), summary: 'No identity token.', fix: 'Let the platform write it.' }
  const troubles = [
    { ...trouble, code: 'no_verified_key' },
    { ...trouble, code: 'exchange_failing' },
    { ...trouble, code: 'store_absent', summary: 'No key.' },
  ]
  const lines = renderList([summaryOf('openai', { troubles })], view)
  expect(lines.slice(2)).toEqual([
    'openai: No identity token.',
    '  fix: Let the platform write it.',
    'openai: No key.',
    '  fix: Let the platform write it.',
  ])
})

it('a key that is retired is shown neither as valid nor as about to expire', () => {
  const retired = { ...versionSummary, stage: 'retired' }
  const [, current, discarded] = renderVersions([versionSummary, retired], view)
  expect(current).toMatch(/ {2}valid +5s ago .* {2}in 1d$/)
  expect(discarded).toMatch(/retired +0123456789ab +- +- +minted .* {2}-$/)
  const { check } = versionSummary
  const refused = check === null ? null : { ...check, verdict: 'rejected' }
  expect(renderVersions([{ ...retired, check: refused }], view)[1]).toContain('rejected')
})

it('a spare is shown with its age, or with why there is none and when it is tried again', () => {
  const none = { ready: 0, version: null, addedAt: null, refreshAt: null }
  const shown = (standby: CredentialSummary['standby']): string | undefined =>
    renderDetail(summaryOf('openai', { standby }), view)
      .find((line) => line.startsWith('  standby'))
      ?.replace(/ {2,}/g, '  ')
  expect(shown(null)).toBeUndefined()
  const ready = { ready: 1, version: 'v-spare', addedAt: instant(-12 * 86_400), refreshAt: instant(86_400) }
  expect(shown({ ...ready, reason: null, nextTryAt: null })).toBe('  standby  ready, 12d old')
  const reason = 'Not allowed: read on service account batch.'
  expect(shown({ ...none, reason, nextTryAt: instant(120) })).toBe(`  standby  none: ${reason}; begun in 2m`)
  expect(shown({ ...none, reason: 'it is being made (proving)', nextTryAt: null })).toBe(
    '  standby  none: it is being made (proving)',
  )
})

it('the making of a spare is told apart from a rotation', () => {
  const ended = rotationAt('done', { mode: 'standby', outcome: 'standby' })
  const lines = renderDetail(summaryOf('openai', { rotation: ended }), view)
  expect(lines.some((line) => line.startsWith('  last spare r: ready'))).toBe(true)
  const running = renderDetail(
    summaryOf('openai', { rotation: rotationAt('proving', { mode: 'standby' }) }),
    view,
  )
  expect(running.some((line) => line.includes('spare key r, asked for by ops'))).toBe(true)
  expect(running.some((line) => line.includes('promoting'))).toBe(false)
  expect(endingOf(ended)).toMatchObject({ kind: 'done', summary: 'a spare key is ready' })
})

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { CredentialSummary } from '../../src/api/types.ts'
import { run } from '../../src/cli/main.ts'
import { type Moment, renderScreen } from '../../src/cli/status-screen.ts'
import { plainPaint, visibleLength } from '../../src/cli/text.ts'
import { type FakeIoOptions, fakeIo } from './fake-io.ts'
import { type FakeService, fakeService } from './fake-service.ts'
import { canary, instant, operatorToken, rotationAt, start, summaryOf } from './samples.ts'

let service: FakeService

beforeEach(async () => {
  service = await fakeService()
})
afterEach(async () => {
  await service.close()
})

const quiet = (name: string): CredentialSummary => summaryOf(name, { rotation: null })
const halt = { from: 'minting', reason: 'x', summary: 'Refused.', fix: 'Grant it.', at: instant(9) }
const troubled = (name: string): CredentialSummary =>
  summaryOf(name, {
    rotation: rotationAt('minting', { halt }),
    troubles: [{ code: 'rotation_halted', summary: 'Refused.', fix: 'Grant it.', since: null }],
  })

function watch(more: readonly string[] = [], options: FakeIoOptions = {}) {
  const env = { KEYTURN_URL: service.url, KEYTURN_OPERATOR_TOKEN: operatorToken, NO_COLOR: '1' }
  const io = fakeIo({ env, isTerminal: true, now: () => start, ...options })
  return { io, ended: run(['status', '--watch', ...more], io) }
}

/** The screen as it was drawn last. */
const drawn = (err: string): string => err.split('\u001b[H').at(-1)?.split('\u001b[J')[0] ?? ''

describe('status --watch', () => {
  it('draws anew when an event says that something changed', async () => {
    service.answer('GET /v1/credentials', { items: [quiet('openai')] })
    const { io, ended } = watch()
    await io.seen('live; q ends')
    expect(drawn(io.err())).toMatch(/1 credential, in need of a person: 0, under way: 0/)
    service.answer('GET /v1/credentials?names=openai', {
      items: [summaryOf('openai', { rotation: rotationAt('promoting') })],
    })
    await service.announce()
    await io.seen('promoting')
    expect(drawn(io.err())).toMatch(/under way: 1[\s\S]*promoting/)
    io.press('q')
    expect(await ended).toBe(0)
  })

  it('gives the terminal back, with the last look on it', async () => {
    const { io, ended } = watch()
    await io.seen('live; q ends')
    io.press('q')
    await ended
    const [before = '', after = ''] = io.err().split('\u001b[?25h\u001b[?1049l')
    expect(before.startsWith('\u001b[?1049h\u001b[?25l')).toBe(true)
    expect(after).toMatch(/^CREDENTIAL[\s\S]*openai +valid/)
  })

  it.each([
    ['Ctrl-C as a key', (io: ReturnType<typeof fakeIo>) => io.press('\u0003')],
    ['SIGINT', (io: ReturnType<typeof fakeIo>) => io.signal('SIGINT')],
  ])('ends with 130 on %s', async (_what, end) => {
    const { io, ended } = watch(['openai'])
    await io.seen('live; q ends')
    end(io)
    expect(await ended).toBe(130)
    expect(io.err()).toContain('belongs to')
  })

  it('goes by the new size of the terminal', async () => {
    service.answer('GET /v1/credentials', { items: ['a', 'b', 'c'].map(quiet) })
    const { io, ended } = watch([], { rows: 30 })
    await io.seen('live; q ends')
    io.resize({ columns: 40, rows: 4 })
    await io.seen('… and 3 more')
    const lines = drawn(io.err()).replaceAll('\u001b[K', '').split('\r\n')
    expect(lines.length).toBeLessThanOrEqual(4)
    for (const line of lines) expect(visibleLength(line)).toBeLessThanOrEqual(40)
    io.press('q')
    await ended
  })

  it('asks by itself where the events break off, and says so', async () => {
    const { io, ended } = watch()
    await io.seen('live; q ends')
    service.dropStreams()
    await io.seen('no events from the service: asked every 2 s')
    await io.seen('live; q ends')
    io.press('q')
    await ended
  })

  it.each(['stopping', 'caller_unverifiable'])(
    'says since when the service is away, and goes on when it is back: %s',
    async (code) => {
      let now = start
      const { io, ended } = watch([], { now: () => now })
      await io.seen('live; q ends')
      service.refuse('GET /v1/credentials', 503, code, 'Not now.')
      now += 15_000
      await service.announce()
      await io.seen('the service has not answered for 0s; this is older')
      now += 3_000
      await service.announce()
      io.press('q')
      expect(await ended).toBe(0)
      expect(io.err()).not.toContain(canary)
    },
  )

  it('ends where the token is not good any more', async () => {
    let now = start
    const { io, ended } = watch([], { now: () => now })
    await io.seen('live; q ends')
    service.refuse('GET /v1/credentials', 401, 'unauthenticated', 'Unknown token.')
    now += 15_000
    await service.announce()
    expect(await ended).toBe(1)
    expect(io.err().split('\u001b[?1049l')[1]).toMatch(/error: Unknown token\./)
  })

  it('with --json tells each change in a line of its own, without a terminal', async () => {
    service.answer('GET /v1/credentials', { items: [quiet('openai'), quiet('openai-eval')] })
    const { io, ended } = watch(['--json'], { isTerminal: false })
    await io.seen('openai-eval')
    service.answer('GET /v1/credentials?names=openai', { items: [troubled('openai')] })
    service.answer('GET /v1/credentials?names=openai,openai-eval', {
      items: [troubled('openai'), quiet('openai-eval')],
    })
    service.answer('GET /v1/credentials?names=openai-eval,openai', {
      items: [troubled('openai'), quiet('openai-eval')],
    })
    await service.announce()
    await io.seen('Refused.')
    io.signal('SIGINT')
    expect(await ended).toBe(130)
    const lines = io
      .out()
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line))
    expect(lines).toEqual([
      { at: instant(0), name: 'openai', credential: quiet('openai') },
      { at: instant(0), name: 'openai-eval', credential: quiet('openai-eval') },
      { at: instant(0), name: 'openai', credential: troubled('openai') },
    ])
    expect(io.err()).toBe('')
  })

  it('is refused where nobody sees it', async () => {
    const { io, ended } = watch([], { isTerminal: false })
    expect(await ended).toBe(2)
    expect(io.err()).toMatch(/Add --json/)
  })
})

describe('a screen with a thousand credentials', () => {
  const many = Array.from({ length: 1_000 }, (_, index) => quiet(`team-${String(index).padStart(4, '0')}`))
  const moment: Moment = {
    all: [...many, troubled('zz-last'), summaryOf('zz-moving')],
    isOne: false,
    rows: 24,
    source: 'live',
    awayAt: undefined,
  }
  const view = { now: start, out: { paint: plainPaint, columns: 80 } }

  it('has the height of the terminal, the troubled first, and says how many more there are', () => {
    const lines = renderScreen(moment, view)
    expect(lines.length).toBeLessThanOrEqual(24)
    expect(lines[0]).toBe('1002 credentials, in need of a person: 1, under way: 2')
    expect(lines[2]).toMatch(/^zz-last/)
    expect(lines[3]).toMatch(/^zz-moving/)
    expect(lines.join('\n')).toMatch(
      /… and 98\d more\nzz-last: Refused\.\n {2}fix: Grant it\.\nlive; q ends$/,
    )
    const shown = lines.filter((line) => /^(?:team|zz)-\S+ /.test(line) && !line.includes(': ')).length
    expect(lines.join('\n')).toContain(`and ${1_002 - shown} more`)
  })

  it.each([1, 2, 3, 5, 8])('fits %i lines', (rows) => {
    expect(renderScreen({ ...moment, rows }, view).length).toBeLessThanOrEqual(Math.max(2, rows))
  })
})

import { describe, expect, it } from 'vitest'
import { KeyturnError } from '../src/core/errors.ts'
import { looksLikeKey, redactKeys } from '../src/core/key-shape.ts'
import type { LogLevel } from '../src/core/ports.ts'
import { Secret } from '../src/core/secret.ts'
import { createLog } from '../src/log.ts'

const body = 'Ab3dEf6h'.repeat(9)
const infix = Buffer.from('OpenAI').toString('base64')
const projectKey = ['sk', 'proj', `${body}_-${infix}${body}_-`].join('-')
const legacyKey = `sk-${body.slice(0, 20)}${infix}${body.slice(0, 20)}`
const clock = { now: () => Date.UTC(2026, 10, 21, 3, 0, 0) }

function logged(format: 'json' | 'text', level: LogLevel = 'debug') {
  const lines: string[] = []
  return { lines, log: createLog({ level, format, clock, write: (line) => lines.push(line) }) }
}

function one(message: string, fields?: Record<string, unknown>): Record<string, unknown> {
  const { lines, log } = logged('json')
  log('info', message, fields)
  expect(lines).toHaveLength(1)
  return JSON.parse(lines[0] ?? '') as Record<string, unknown>
}

describe('the log', () => {
  it('writes one JSON object per line, with time, level, message and fields', () => {
    expect(one('key verified', { credential: 'openai', tookMs: 12, ok: true, none: null })).toEqual({
      time: '2026-11-21T03:00:00.000Z',
      level: 'info',
      message: 'key verified',
      credential: 'openai',
      tookMs: 12,
      ok: true,
      none: null,
    })
  })

  it('writes text for people', () => {
    const { lines, log } = logged('text')
    log('warn', 'store is slow', { ref: 'prod/openai', note: 'took long', list: [1, 2] })
    expect(lines).toEqual([
      '2026-11-21T03:00:00.000Z WARN  store is slow ref=prod/openai note="took long" list=[1,2]',
    ])
  })

  it('drops what is below its level', () => {
    const { lines, log } = logged('json', 'warn')
    for (const level of ['debug', 'info', 'warn', 'error'] as const) log(level, level)
    expect(lines.map((line) => (JSON.parse(line) as { message: string }).message)).toEqual(['warn', 'error'])
  })

  it('does not let a field take the place of time, level or message', () => {
    const line = one('true story', { message: 'forged', level: 'debug', time: 'never' })
    expect(line).toMatchObject({ message: 'true story', level: 'info', message_: 'forged', level_: 'debug' })
  })

  it('prints a Secret as [secret], however deep', () => {
    const secret = new Secret('anything at all')
    const line = one('handed out', { secret, inside: { list: [{ key: secret }] } })
    expect(line).toMatchObject({ secret: '[secret]', inside: { list: [{ key: '[secret]' }] } })
  })

  it.each([
    ['a project key', projectKey],
    ['a legacy key', legacyKey],
    ['a masked echo of a key', `sk-proj-${'*'.repeat(20)}SJh4`],
    ['a key of another provider', `sk-or-v1-${'0a'.repeat(32)}`],
    ['an authorization header', `Bearer ${body}`],
    ['a token of a workload identity', ['eyJhbGciOiJSUzI1NiJ9', body, body].join('.')],
    ['an age identity', `AGE-SECRET-KEY-1${'Q2'.repeat(29)}`],
  ])('replaces %s in messages, fields, names, headers, URLs and nested JSON', (_what, key) => {
    const { lines, log } = logged('json')
    const text = logged('text')
    const fields = {
      plain: key,
      url: `https://api.example/v1?key=${key}&Authorization=Bearer%20${key}`,
      nested: JSON.stringify({ error: JSON.stringify({ message: `wrong:\n${key}` }) }),
      [key]: 'as a name',
      list: [[key], { key }],
    }
    log('error', `Incorrect API key provided: ${key}.`, fields)
    text.log('error', `Incorrect API key provided: ${key}.`, fields)
    for (const line of [...lines, ...text.lines]) {
      expect(line).not.toContain(key)
      expect(line).not.toContain(key.slice(-12))
      expect(line).toContain('[redacted]')
    }
  })

  it('replaces a key that lies across the cut of a long text', () => {
    for (const offset of [1_990, 1_999, 15_990, 15_950]) {
      const { lines, log } = logged('json')
      log('info', `${' '.repeat(offset)}${projectKey}`)
      expect(lines[0]).not.toContain(body.slice(0, 16))
    }
  })

  it('replaces strings under names that hold secrets, whatever they look like', () => {
    expect(one('x', { authorization: 'abc', apiKey: 'abc', token: 'abc', tokens: 3 })).toMatchObject({
      authorization: '[redacted]',
      apiKey: '[redacted]',
      token: '[redacted]',
      tokens: 3,
    })
  })

  it('uses the given replacement too', () => {
    const lines: string[] = []
    const redact = (text: string) => text.replaceAll('swordfish', '[known]')
    createLog({ level: 'info', format: 'json', clock, write: (line) => lines.push(line), redact })(
      'info',
      'it was swordfish',
      { word: 'swordfish' },
    )
    expect(lines[0]).not.toContain('swordfish')
  })

  it('leaves ordinary words alone', () => {
    const words = 'task-force-of-the-quarter risk-assessment-team sk-svcac...xyz disk-encryption-service'
    expect(redactKeys(words)).toBe(words)
    expect(looksLikeKey(words)).toBe(false)
  })

  it('shows our errors by code, message and fix, and foreign ones by name, code and place, never by message', () => {
    const wire = Object.assign(new Error('body said things'), { code: 'ECONNRESET' })
    const ours = new KeyturnError('store_denied', 'may not read prod/openai', {
      fix: 'Grant it.',
      cause: wire,
    })
    const line = one('failed', { error: ours, foreign: wire })
    expect(line['error']).toEqual({
      error: 'KeyturnError',
      code: 'store_denied',
      message: 'may not read prod/openai',
      fix: 'Grant it.',
      causes: ['Error ECONNRESET'],
    })
    expect(line['foreign']).toMatchObject({ error: 'Error', code: 'ECONNRESET' })
    expect(JSON.stringify(line)).not.toContain('body said things')
  })

  it('cannot be made to write a second line, move the cursor or turn the text round', () => {
    const evil = 'a\nb\r\u001b[2Jc\u0085d\u2028e\u202ef\u0000'
    for (const format of ['json', 'text'] as const) {
      const { lines, log } = logged(format)
      log('info', evil, { [evil]: evil })
      expect(lines).toHaveLength(1)
      expect(lines[0]).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u)
    }
    expect(one(evil)['message']).toBe(evil)
  })

  it('is bounded in depth, entries and length, and survives cycles and throwing getters', () => {
    const cycle: Record<string, unknown> = { text: 'x'.repeat(100_000) }
    cycle['self'] = cycle
    Object.defineProperty(cycle, 'bad', {
      enumerable: true,
      get() {
        throw new Error('no')
      },
    })
    const { lines, log } = logged('json')
    log('info', 'y'.repeat(100_000), { cycle, many: Array.from({ length: 9_999 }, (_, index) => index) })
    expect(lines[0]?.length).toBeLessThan(20_000)
    expect(lines[0]).toContain('[unreadable]')
    expect(lines[0]).toContain('… 9949 more')
  })

  it('takes any value without throwing', () => {
    const line = one('odd', {
      nan: Number.NaN,
      big: 1n,
      call: () => 1,
      bytes: new Uint8Array(3),
      day: new Date(0),
      noDay: new Date(Number.NaN),
      gone: undefined,
    })
    expect(line).toMatchObject({
      nan: 'NaN',
      big: '[bigint]',
      call: '[function]',
      bytes: '[3 bytes]',
      day: '1970-01-01T00:00:00.000Z',
      noDay: '[no time]',
    })
    expect(line).not.toHaveProperty('gone')
  })
})

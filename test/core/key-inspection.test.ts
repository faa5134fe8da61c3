import { randomBytes } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { inspectKeyShape } from '../../src/core/key-inspection.ts'

// Built at run time: no text of this file has the shape of a key.
const infix = Buffer.from('OpenAI').toString('base64')
const characters = (count: number) => randomBytes(count).toString('base64url').slice(0, count)
const letters = (count: number) => randomBytes(count).toString('hex').slice(0, count)
const key = (prefix: string, side: number) => `${prefix}${characters(side)}${infix}${characters(side)}`
const project = () => key(['sk', 'proj', ''].join('-'), 74)

const names = (text: string) => inspectKeyShape(text).problems.map((problem) => problem.name)

describe('the kind of a key', () => {
  it.each([
    ['project', () => project()],
    ['project', () => key(['sk', 'proj', ''].join('-'), 58)],
    ['service_account', () => key(['sk', 'svcacct', ''].join('-'), 74)],
    ['service_account', () => key(['sk', 'service', ''].join('-'), 74)],
    ['admin', () => key(['sk', 'admin', ''].join('-'), 58)],
    ['legacy_user', () => `sk-${letters(20)}${infix}${letters(20)}`],
    ['unknown_shape', () => `${letters(30)}.${letters(30)}.${letters(30)}`],
  ] as const)('is %s', (kind, make) => {
    expect(inspectKeyShape(make())).toMatchObject({ kind, core: kind })
  })

  it.each([
    ['Anthropic', () => ['sk', 'ant', characters(40)].join('-')],
    ['OpenRouter', () => ['sk', 'or', 'v1', letters(64)].join('-')],
    ['Google', () => `AIza${letters(35)}`],
    ['Groq', () => `gsk_${letters(48)}`],
    ['xAI', () => `xai-${letters(64)}`],
    ['Hugging Face', () => `hf_${letters(34)}`],
    ['Azure OpenAI', () => letters(32)],
    ['Azure OpenAI', () => `${letters(52)}JQQJ99${letters(26)}`],
  ] as const)('is another provider: %s', (provider, make) => {
    expect(inspectKeyShape(make())).toMatchObject({ kind: 'other_provider', provider })
  })

  it.each([
    'YOUR_OPENAI_API_KEY',
    'your-api-key-here',
    'sk-your-key-here',
    'sk-...',
    'sk-proj-xxxxxxxxxxxx',
    'sk-proj-...',
    '<your key>',
    '${OPENAI_API_KEY}',
    'changeme',
    'sk-1234567890',
    'REPLACE_ME',
    'undefined',
    '"YOUR_OPENAI_API_KEY"',
  ])('is a placeholder: %s', (text) => {
    expect(inspectKeyShape(text).kind).toBe('placeholder')
  })

  it('never calls a random key a placeholder', () => {
    const kinds = Array.from({ length: 2_000 }, () => inspectKeyShape(project()).kind)
    expect(new Set(kinds)).toEqual(new Set(['project']))
  })

  it('never refuses on length alone', () => {
    const cut = project().slice(0, 100)
    expect(inspectKeyShape(cut)).toEqual({
      kind: 'project',
      core: 'project',
      problems: [{ name: 'unusual_length', isFatal: false }],
    })
  })
})

describe('what was pasted along with a key', () => {
  it.each([
    ['a trailing line break', (text: string) => `${text}\n`, ['line_break']],
    ['a carriage return as well', (text: string) => `${text}\r\n`, ['line_break', 'line_break']],
    ['a space in front', (text: string) => ` ${text}`, ['white_space']],
    ['quotes', (text: string) => `"${text}"`, ['quote', 'quote']],
    ['Bearer', (text: string) => `Bearer ${text}`, ['bearer_prefix']],
    ['a whole header', (text: string) => `Authorization: Bearer ${text}`, ['bearer_prefix']],
    ['a byte order mark', (text: string) => `\uFEFF${text}`, ['byte_order_mark']],
    ['a line of a .env file', (text: string) => `OPENAI_API_KEY=${text}`, ['assignment']],
    [
      'an exported one',
      (text: string) => `export OPENAI_API_KEY="${text}"`,
      ['assignment', 'quote', 'quote'],
    ],
    ['a break in the middle', (text: string) => `${text.slice(0, 50)}\n${text.slice(50)}`, ['line_break']],
    ['a zero-width space', (text: string) => `${text.slice(0, 50)}\u200B${text.slice(50)}`, ['not_ascii']],
    ['one at the end', (text: string) => `${text}\u200B`, ['not_ascii']],
    ['a byte order mark at the end', (text: string) => `${text}\uFEFF`, ['byte_order_mark']],
    ['an escaped line break', (text: string) => `${text}%0A`, ['percent_escape']],
    ['one in front as well', (text: string) => `%20${text}%0D%0A`, Array(3).fill('percent_escape')],
    ['a null byte', (text: string) => `${text.slice(0, 50)}\u0000${text.slice(50)}`, ['control_character']],
    ['an angle bracket', (text: string) => `${text}>`, ['stray_character']],
  ] as const)('is found: %s', (_name, spoil, problems) => {
    const text = spoil(project())
    expect(inspectKeyShape(text)).toMatchObject({ kind: 'malformed', core: 'project' })
    expect(names(text).filter((name) => name !== 'unusual_length')).toEqual(problems)
  })

  it('is named with its position', () => {
    const text = `${project()}\n`
    expect(inspectKeyShape(text).problems).toEqual([
      { name: 'line_break', position: text.length - 1, character: 'line feed', isFatal: true },
    ])
  })

  it('is nothing where there is nothing', () => {
    expect(inspectKeyShape('')).toMatchObject({ kind: 'malformed', problems: [{ name: 'empty' }] })
    expect(inspectKeyShape(' \n ').kind).toBe('malformed')
  })
})

describe('any text at all', () => {
  it('is inspected without a throw and without repeating any of it', () => {
    const texts = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.string({ minLength: 5_000 }))
    fc.assert(
      fc.property(texts, (text) => {
        const shape = inspectKeyShape(text)
        expect(shape.problems.length).toBeLessThanOrEqual(20)
        for (const { position } of shape.problems) expect(position ?? 0).toBeLessThan(text.length || 1)
      }),
    )
    const secret = project()
    const spoilt = `Bearer "${secret.slice(0, 40)} ${secret.slice(40)}"\n`
    const told = JSON.stringify(inspectKeyShape(spoilt))
    for (let start = 8; start + 6 < secret.length; start += 1)
      expect(told).not.toContain(secret.slice(start, start + 6))
  })
})

import { describe, expect, it } from 'vitest'
import { Secret } from '../../../src/core/secret.ts'
import { keyText } from '../../../src/doctor/environment/key-text.ts'
import { gather, givenKey } from '../../../src/doctor/gather.ts'
import { testDoctor } from '../context.ts'
import { newKey } from '../keys.ts'
import { findingsIn, node, nodeWithoutDotenv, python, pythonWithoutDotenv, told } from './examined.ts'

const inShell = (text: string, more: Readonly<Record<string, string>> = {}, texts = pythonWithoutDotenv) =>
  findingsIn(texts, { OPENAI_API_KEY: text, ...more })
const inFile = (text: string) => findingsIn({ ...python, '.env': `# mine\nOPENAI_API_KEY=${text}\n` })

describe('what stands in place of a key', () => {
  it.each([
    ['YOUR_OPENAI_API_KEY', 'key_placeholder'],
    ['sk-your-key-here', 'key_placeholder'],
    ['sk-...', 'key_placeholder'],
    ['changeme', 'key_placeholder'],
    [['sk', 'ant', 'api03', 'a1'.repeat(40)].join('-'), 'key_of_other_provider'],
    [['sk', 'or', 'v1', 'a1'.repeat(32)].join('-'), 'key_of_other_provider'],
    [`AIza${'a1'.repeat(17)}`, 'key_of_other_provider'],
    [`gsk_${'a1'.repeat(24)}`, 'key_of_other_provider'],
    ['a1'.repeat(16), 'key_of_other_provider'],
    [newKey('admin'), 'key_of_other_kind'],
    [newKey().slice(0, 90), 'key_cut_off'],
    [newKey().slice(0, 20), 'key_cut_off'],
    [newKey('svcacct').slice(0, 100), 'key_cut_off'],
    [newKey('legacy').slice(0, 30), 'key_cut_off'],
    [newKey() + newKey(), 'key_cut_off'],
  ])('%#: %s', async (text, code) => {
    const env = await inShell(text)
    expect(told(env)).toEqual([`${code} OPENAI_API_KEY`])
    expect(env[0]).toMatchObject({ severity: 'error' })
    expect(told(await inFile(text))).toEqual([`${code} .env:2`])
  })

  it.each([
    ['op://vault/openai/key', 'a reference to a secret', 'op run --'],
    ['arn:aws:secretsmanager:eu-central-1:123456789012:secret:openai-AbCdEf', 'a reference', 'resolves it'],
    ['projects/acme/secrets/openai/versions/latest', 'a reference', 'resolves it'],
    [
      '@Microsoft.KeyVault(SecretUri=https://acme.vault.azure.net/secrets/openai)',
      'a reference',
      'resolves it',
    ],
    [`org-${'aB3'.repeat(8)}`, 'the id of an organisation', 'key alone'],
    [`proj_${'aB3'.repeat(8)}`, 'the id of a project', 'key alone'],
    [Buffer.from(newKey()).toString('base64'), 'a key in base64', 'base64 -d'],
    [Buffer.from(`${newKey('legacy')}\n`).toString('base64'), 'a key in base64', 'base64 -d'],
  ])('is told for what it is, without its text: %#', async (text, seen, fix) => {
    for (const findings of [await inShell(text), await inShell(`${text}\n`)]) {
      expect(told(findings)).toEqual(['key_placeholder OPENAI_API_KEY'])
      expect(findings[0]).toMatchObject({ severity: 'error', seen: expect.stringContaining(seen) })
      expect(findings[0]?.fix).toContain(fix)
      expect(JSON.stringify(findings)).not.toContain(text.slice(4, 16))
    }
  })

  it.each(['proj', 'svcacct', 'legacy'] as const)('is a key: %s', async (kind) => {
    expect(told(await inShell(newKey(kind)))).toEqual([])
    expect(told(await inFile(newKey(kind)))).toEqual([])
  })

  it('is doubted mildly where only a few characters are too few, and not at all where the shape is new', async () => {
    const [finding] = await inShell(newKey().slice(0, 150))
    expect(finding).toMatchObject({ code: 'key_cut_off', severity: 'warning' })
    expect(told(await inShell('eyJhbGciOiJub25lIn0.e30.e30'))).toEqual([])
    // The first keys of projects, in 2024, had 48 characters after their prefix.
    expect(told(await inShell(newKey().slice(0, 56)))).toEqual([])
  })

  it('is what another API wants, where that is called', async () => {
    const openRouter = ['sk', 'or', 'v1', 'a1'.repeat(32)].join('-')
    expect(told(await inShell(openRouter, { OPENAI_BASE_URL: 'https://openrouter.ai/api/v1' }))).toEqual([])
    const source = {
      'app.py': 'from openai import OpenAI\nclient = OpenAI(base_url="https://openrouter.ai/api/v1")\n',
    }
    expect(told(await inShell(openRouter, {}, { ...pythonWithoutDotenv, ...source }))).toEqual([])
    const azure = {
      'app.py':
        'from openai import AzureOpenAI\nclient = AzureOpenAI(azure_endpoint="https://a.openai.azure.com")\n',
    }
    expect(told(await inShell('a1'.repeat(16), {}, { ...pythonWithoutDotenv, ...azure }))).toEqual([])
    expect(told(await inShell('dummy', { OPENAI_BASE_URL: 'http://localhost:8000/v1' }))).toEqual([])
    expect(told(await inShell('sk-your-key-here', { OPENAI_BASE_URL: 'http://127.0.0.1:4010/v1' }))).toEqual([
      'key_placeholder OPENAI_API_KEY',
    ])
  })

  it('is not judged where another one is used', async () => {
    const texts = { ...python, '.env': 'OPENAI_API_KEY=your-key-here\n' }
    expect(told(await findingsIn(texts, { OPENAI_API_KEY: newKey() }))).toEqual([])
    const next = {
      'package.json': '{"dependencies":{"next":"16.0.0","openai":"7.0.0"}}',
      '.env': 'OPENAI_API_KEY=your-key-here\n',
      '.env.local': `OPENAI_API_KEY=${newKey()}\n`,
    }
    expect(told(await findingsIn(next))).toEqual([])
  })
})

describe('characters that do not belong to a key', () => {
  it.each([
    ['a line feed at its end (character 165)', (key: string) => `${key}\n`],
    ['a carriage return at its end (character 165)', (key: string) => `${key}\r`],
    ['a space in front (character 1)', (key: string) => ` ${key}`],
    [
      'a double quote in front (character 1), a double quote at its end (character 166)',
      (key: string) => `"${key}"`,
    ],
    [
      'a curly double quote in front (character 1), a curly double quote at its end (character 166)',
      (key: string) => `\u201C${key}\u201D`,
    ],
    ['a byte order mark in front (character 1)', (key: string) => `\uFEFF${key}`],
    ['a no-break space at its end (character 165)', (key: string) => `${key}\u00A0`],
    [
      'a zero-width space inside (character 41)',
      (key: string) => `${key.slice(0, 40)}\u200B${key.slice(40)}`,
    ],
    ['a percent escape inside (character 165)', (key: string) => `${key}%0A`],
    ['the word Bearer in front', (key: string) => `Bearer ${key}`],
    ['the name of a variable and = in front', (key: string) => `OPENAI_API_KEY=${key}`],
  ])('%s', async (seen, spoil) => {
    const key = newKey()
    const findings = await inShell(spoil(key))
    expect(told(findings)).toEqual(['key_stray_characters OPENAI_API_KEY'])
    expect(findings[0]).toMatchObject({ severity: 'error' })
    expect(findings[0]?.seen).toContain(seen)
  })

  it('are told of a file with line and column', async () => {
    const [finding] = await inFile(`"Bearer ${newKey()} "`)
    expect(finding).toMatchObject({
      code: 'key_stray_characters',
      place: { kind: 'file', path: '.env', line: 2, column: 17 },
    })
  })

  it('only warn where the Node library takes them off', async () => {
    const [finding] = await inShell(`${newKey()}\r\n`, {}, nodeWithoutDotenv)
    expect(finding).toMatchObject({ code: 'key_stray_characters', severity: 'warning' })
    const [inside] = await inShell(`${newKey()} x`, {}, nodeWithoutDotenv)
    expect(inside).toMatchObject({ severity: 'error' })
  })

  it('come with a command that takes them off', async () => {
    const [finding] = await inShell(`"${newKey()}"\n`)
    expect(finding?.fix).toContain(`LC_ALL=C tr -cd 'A-Za-z0-9_-'`)
    const [bearer] = await inShell(`Bearer ${newKey()}`)
    expect(bearer?.fix).toContain('read -rs OPENAI_API_KEY')
    const key = newKey()
    const [letter] = await inShell(`${key.slice(0, 60)}\u00E9${key.slice(61)}`)
    expect(letter?.fix).toContain('read -rs OPENAI_API_KEY')
  })

  it('are told of a key that was given with no variable', async () => {
    const facts = await gather(testDoctor({}))
    const key = { place: { kind: 'variable', name: givenKey } as const, text: new Secret(` ${newKey()}`) }
    const [finding] = await keyText.run({ ...facts, key }, testDoctor({}))
    expect(finding?.seen).toMatch(/^the given key has a space in front/)
    expect(finding?.fix).toBe('Give the key alone, on one line.')
  })

  it('are none in what a loader takes off by itself', async () => {
    const texts = { ...node, '.env': `\uFEFFOPENAI_API_KEY = "${newKey()}"   # mine\r\n` }
    expect(told(await findingsIn(texts))).toEqual([])
  })
})

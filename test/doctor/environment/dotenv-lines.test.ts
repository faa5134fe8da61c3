import { describe, expect, it } from 'vitest'
import type { DotenvLoader } from '../../../src/doctor/project/project-facts.ts'
import { newKey } from '../keys.ts'
import { loader } from '../scan.ts'
import { findingsIn, node, nodeWithoutDotenv, python, type Texts, told } from './examined.ts'

interface Started {
  readonly texts: Texts
  readonly loaders?: readonly DotenvLoader[]
}
const byNode: Started = { texts: node }
const byPython: Started = { texts: python }
const startedBy = (name: string): Started => ({
  texts: nodeWithoutDotenv,
  loaders: [loader(name, 'package.json', { path: '.env' })],
})
const docker = startedBy('docker run')
const shell = startedBy('shell source')
const nodeFlag = startedBy('node --env-file')
const findings = ({ texts, loaders }: Started, text: string) =>
  findingsIn({ ...texts, '.env': text }, {}, { loaders })
const key = newKey()

describe('a line that is not read as it is meant', () => {
  it.each<readonly [string, Started, string, string]>([
    ['an unclosed quote, in Node', byNode, `A=1\nOPENAI_API_KEY="${key}\n`, 'missing'],
    ['an unclosed quote, in Python', byPython, `A=1\nOPENAI_API_KEY="${key}\n`, 'missing'],
    ['only a closing quote', byPython, `A=1\nOPENAI_API_KEY=${key}"\n`, 'missing'],
    ['something after the quotes', byPython, `A=1\nOPENAI_API_KEY="${key}";\n`, 'closing quote'],
    ['no =', byNode, `A=1\nOPENAI_API_KEY ${key}\n`, 'no ='],
    ['a colon', byPython, `A=1\nOPENAI_API_KEY: ${key}\n`, 'colon'],
    ['a word of another language', byPython, `A=1\nset OPENAI_API_KEY=${key}\n`, 'another language'],
    ['PowerShell', byNode, `A=1\n$env:OPENAI_API_KEY="${key}"\n`, 'another language'],
    ['a quoted name', byNode, `A=1\n"OPENAI_API_KEY"=${key}\n`, 'name is in quotes'],
    [
      'a key over two lines',
      byNode,
      `A=1\nOPENAI_API_KEY=${key.slice(0, 80)}\n${key.slice(80)}\n`,
      'next line',
    ],
    [
      'a value that another holds, unexpanded',
      byNode,
      `A=${key}\nOPENAI_API_KEY=\${A}\n`,
      'another variable',
    ],
    ['an earlier quote', byNode, `A="1\nOPENAI_API_KEY=${key}\nB=2"\n`, 'earlier line'],
    ['export, for docker', docker, `A=1\nexport OPENAI_API_KEY=${key}\n`, 'export'],
    ['quotes, for docker', docker, `A=1\nOPENAI_API_KEY="${key}"\n`, 'in quotes'],
    ['a comment, for docker', docker, `A=1\nOPENAI_API_KEY=${key} # mine\n`, 'comment'],
    ['spaces, for docker', docker, `A=1\nOPENAI_API_KEY = ${key}\n`, 'spaces around ='],
    ['spaces, for a shell', shell, `A=1\nOPENAI_API_KEY = ${key}\n`, 'spaces around ='],
    ['CRLF, for a shell', shell, `A=1\r\nOPENAI_API_KEY=${key}\r\n`, 'CRLF'],
  ])('%s', async (_title, started, text, seen) => {
    const found = await findings(started, text)
    expect(told(found)).toEqual(['dotenv_malformed .env:2'])
    expect(found[0]?.seen).toContain(seen)
    expect(found[0]?.seen).toContain('.env:2, meant to set OPENAI_API_KEY')
    expect(found[0]?.fix).toMatch(/^(?:Write line 2 of \.env as: OPENAI_API_KEY=<value>$|sed |tail |Close )/)
  })

  it('is the first one where a byte order mark is in front of it', async () => {
    const text = `\uFEFFOPENAI_API_KEY=${key}\n`
    for (const started of [byPython, nodeFlag])
      expect(told(await findings(started, text))).toEqual(['dotenv_malformed .env:1'])
    expect(told(await findingsIn({ ...python, '.env': `\uFEFF# mine\nOPENAI_API_KEY=${key}\n` }))).toEqual([])
  })

  it('is the whole file where that is in UTF-16', async () => {
    const text = `\uFFFD\uFFFD${Array.from(`OPENAI_API_KEY=${key}`, (one) => `${one}\0`).join('')}`
    const [finding, ...others] = await findingsIn({ ...python, '.env': text })
    expect(others).toEqual([])
    expect(finding).toMatchObject({
      code: 'dotenv_malformed',
      fix: expect.stringContaining('iconv -f UTF-16'),
    })
  })

  it.each<readonly [string, Started, string]>([
    ['dotenv', byNode, `\uFEFFexport OPENAI_API_KEY = '${key}' # mine\r\n`],
    ['dotenv with a colon', byNode, `OPENAI_API_KEY: ${key}\n`],
    ['node', nodeFlag, `export OPENAI_API_KEY = "${key}"\r\n`],
    ['Python', byPython, `export OPENAI_API_KEY = "${key}" # mine\r\n`],
    ['docker', docker, `OPENAI_API_KEY=${key}\r\n`],
    ['a shell', shell, `export OPENAI_API_KEY="${key}" # mine\n`],
    ['comments about it', byNode, `# OPENAI_API_KEY is from the dashboard\nOPENAI_API_KEY=${key}\n`],
    ['other variables', byNode, `THEIRS="x\nOPENAI_API_KEY=${key}\n`],
  ])('is none in what %s takes', async (_title, started, text) => {
    expect(told(await findings(started, text))).toEqual([])
  })

  it('is nothing to a program that has its key from elsewhere, where nobody loads the file', async () => {
    expect(
      told(
        await findingsIn(
          { ...nodeWithoutDotenv, '.env': `OPENAI_API_KEY "${key}\n` },
          { OPENAI_API_KEY: newKey() },
        ),
      ),
    ).toEqual([])
  })
})

describe('a variable that is set twice', () => {
  it('is told where the values differ, at the one that counts', async () => {
    const [finding, ...others] = await findingsIn({
      ...node,
      '.env': `OPENAI_API_KEY=${newKey()}\nA=1\nOPENAI_API_KEY=${key}\n`,
    })
    expect(others).toEqual([])
    expect(finding).toMatchObject({ code: 'dotenv_duplicate', severity: 'warning', place: { line: 3 } })
    expect(finding?.fix).toContain("sed -i.bak '1d' .env")
  })

  it('is not told where they are equal, or in two files', async () => {
    expect(
      told(await findingsIn({ ...node, '.env': `OPENAI_API_KEY=${key}\nOPENAI_API_KEY="${key}"\n` })),
    ).toEqual([])
    const next = { 'package.json': '{"dependencies":{"next":"16.0.0","openai":"7.0.0"}}' }
    expect(
      told(
        await findingsIn({
          ...next,
          '.env': `OPENAI_API_KEY=${newKey()}\n`,
          '.env.local': `OPENAI_API_KEY=${key}\n`,
        }),
      ),
    ).toEqual([])
  })
})

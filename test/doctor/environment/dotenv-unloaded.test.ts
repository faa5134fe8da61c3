import { describe, expect, it } from 'vitest'
import { newKey } from '../keys.ts'
import { findingsIn, node, nodeWithoutDotenv, python, pythonWithoutDotenv, told } from './examined.ts'

const text = `A=1\nOPENAI_API_KEY=${newKey()}\n`

describe('a .env that nobody loads', () => {
  it.each([
    ['Node', nodeWithoutDotenv, 'node --env-file=.env index.js'],
    ['Python', pythonWithoutDotenv, 'dotenv -f .env run -- python app.py'],
    ['Go', { 'go.mod': 'module a\n', 'main.go': 'package main\n' }, 'set -a; . ./.env; set +a'],
  ])('%s', async (_title, texts, fix) => {
    const findings = await findingsIn({ ...texts, '.env': text })
    expect(told(findings)).toEqual(['dotenv_not_loaded .env:2'])
    expect(findings[0]?.fix).toContain(fix)
  })

  it('is told where dotenv is only a dependency', async () => {
    const texts = { ...nodeWithoutDotenv, 'package.json': node['package.json'] ?? '', '.env': text }
    expect(told(await findingsIn(texts))).toEqual(['dotenv_not_loaded .env:2'])
  })

  it.each([
    ['the key comes from elsewhere', { ...nodeWithoutDotenv, '.env': text }, { OPENAI_API_KEY: newKey() }],
    ['it is loaded by a call', { ...node, '.env': text }, {}],
    [
      'it is loaded by a flag',
      { ...nodeWithoutDotenv, Makefile: 'run:\n\tnode --env-file=.env index.js\n', '.env': text },
      {},
    ],
    [
      'it is loaded by a framework',
      { 'package.json': '{"dependencies":{"next":"16.0.0"}}', '.env': text },
      {},
    ],
    ['it is sourced', { ...nodeWithoutDotenv, 'start.sh': 'source .env\nnode index.js\n', '.env': text }, {}],
    [
      'compose passes it on',
      { ...nodeWithoutDotenv, 'compose.yaml': 'services:\n  app:\n    env_file: .env\n', '.env': text },
      {},
    ],
    ['direnv loads it', { ...nodeWithoutDotenv, '.envrc': 'dotenv\n', '.env': text }, {}],
  ] as const)('is not told where %s', async (_title, texts, env) => {
    expect(told(await findingsIn(texts, env))).toEqual([])
  })
})

describe('a .env in another folder', () => {
  it.each([
    [
      'beside the source, where Node starts above',
      { ...node, 'index.js': '', 'src/index.js': node['index.js'] ?? '', 'src/.env': text },
      'src/.env',
    ],
    [
      'in a sibling of the source, for Python',
      { 'src/app.py': python['app.py'] ?? '', 'config/.env': text },
      'config/.env',
    ],
    ['under another name', { ...node, '.env.production': text }, '.env.production'],
  ])('%s', async (_title, texts, path) => {
    const findings = await findingsIn(texts)
    expect(told(findings)).toEqual([`dotenv_elsewhere ${path}:2`])
    expect(findings[0]?.fix).toContain(path)
  })

  it('is seen above the folder that is looked at', async () => {
    const above = { '../.env': text }
    expect(told(await findingsIn(node, {}, { above }))).toEqual(['dotenv_elsewhere ../.env:2'])
    expect(told(await findingsIn(python, {}, { above }))).toEqual([])
  })

  it.each([
    [
      'the loader names it',
      {
        ...nodeWithoutDotenv,
        'index.js':
          "require('dotenv').config({ path: './config/.env' })\nconst { OpenAI } = require('openai')\nnew OpenAI()\n",
        'config/.env': text,
      },
    ],
    [
      'the loader puts its path together',
      {
        'src/app.py':
          'from dotenv import load_dotenv\nload_dotenv(Path(__file__).parent.parent / "config" / ".env")\nfrom openai import OpenAI\nOpenAI()\n',
        'config/.env': text,
      },
    ],
    ['Python finds it above the source', { 'src/deep/app.py': python['app.py'] ?? '', 'src/.env': text }],
  ])('is not told where %s', async (_title, texts) => {
    expect(told(await findingsIn(texts))).toEqual([])
  })
})

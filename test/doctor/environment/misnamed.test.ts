import { describe, expect, it } from 'vitest'
import { newKey } from '../keys.ts'
import { findingsIn, node, nodeWithoutDotenv, python, told } from './examined.ts'

const reading = (name: string) => ({
  'app.js': `import OpenAI from 'openai'\nconst client = new OpenAI({ apiKey: process.env.${name} })\n`,
})

describe('a key under another name', () => {
  it('is nobody’s business while the configuration that may name it cannot be read', async () => {
    const problem = { message: "'stor' is not known", fix: "Did you mean 'store'?" }
    const keyturn = async () => ({
      source: 'keyturn.yaml',
      isNamed: false,
      problems: [problem],
      warnings: [],
      credentials: [],
    })
    expect(told(await findingsIn({}, { APP_OPENAI_KEY: newKey() }, { keyturn }))).not.toContain(
      'variable_misnamed APP_OPENAI_KEY',
    )
    expect(told(await findingsIn({}, { APP_OPENAI_KEY: newKey() }))).toEqual([
      'variable_misnamed APP_OPENAI_KEY',
    ])
  })

  it.each([
    'OPENAI_KEY',
    'OPEN_AI_KEY',
    'OPENAI_APIKEY',
    'OPEN_AI_API_KEY',
    'OPENAI_TOKEN',
    'OPENAI_SECRET_KEY',
    'OPENAI_API_TOKEN',
    'MY_OPENAI_API_KEY',
    'openai_api_key',
    'OPENAI_API_KEYS',
    'OPNEAI_API_KEY',
    'OPENAI_AIP_KEY',
    'CHATGPT_API_KEY',
    'API_KEY',
    'MY_API_KEY',
    'SECRET_KEY',
    'OPENAI_API_KEY_DEV',
    'NEXT_PUBLIC_OPENAI_API_KEY',
    'VITE_OPENAI_API_KEY',
  ])('%s', async (name) => {
    const key = newKey()
    const inShell = await findingsIn(nodeWithoutDotenv, { [name]: key })
    expect(told(inShell)).toEqual([`variable_misnamed ${name}`])
    expect(inShell[0]?.fix).toContain(`export OPENAI_API_KEY="$${name}" && unset ${name}`)
    const inFile = await findingsIn({ ...node, '.env': `A=1\n${name}=${key}\n` })
    expect(told(inFile)).toEqual(['variable_misnamed .env:2'])
    expect(inFile[0]?.fix).toContain(`sed -i.bak '2s/${name}/OPENAI_API_KEY/' .env`)
    expect(
      told(await findingsIn(nodeWithoutDotenv, { [name]: key, OPENAI_API_KEY: newKey() })).filter(
        (one) => !one.startsWith('key_in_browser'),
      ),
    ).toEqual([])
    expect(
      told(await findingsIn(reading(name), { [name]: key })).filter(
        (one) => !one.startsWith('key_in_browser'),
      ),
    ).toEqual([])
  })

  it('is told of pages where the name is one that browsers get', async () => {
    const [finding] = await findingsIn(nodeWithoutDotenv, { NEXT_PUBLIC_OPENAI_API_KEY: newKey() })
    expect(finding?.cause).toContain('browsers')
  })

  it.each([
    ['a generic name that holds something else', { API_KEY: 'f81d4fae7dec11d0a76500a0c91e6bf6' }],
    [
      'a generic name that holds a key of somebody else',
      { API_KEY: ['sk', 'ant', 'a'.repeat(40)].join('-') },
    ],
    ['a key that begins like others do, by its own name', { DEEPSEEK_API_KEY: `sk-${'0a'.repeat(16)}` }],
    [
      'other variables of OpenAI',
      { OPENAI_BASE_URL: 'https://api.openai.com/v1', OPENAI_ADMIN_KEY: newKey('admin') },
    ],
    ['another cloud', { AZURE_OPENAI_API_KEY: newKey() }],
    ['a name that is near, for something else', { OPENAPI_KEY: 'petstore' }],
  ])('is not told of %s', async (_title, env) => {
    const codes = (await findingsIn(nodeWithoutDotenv, env)).map(({ code }) => code)
    expect(codes).toEqual(['key_missing'])
  })

  it.each([
    [
      'compose passes it on',
      { 'compose.yaml': 'services:\n  app:\n    environment:\n      OPENAI_API_KEY: ${OPENAI_KEY}\n' },
    ],
    [
      'a workflow passes it on',
      { '.github/workflows/ci.yml': 'env:\n  OPENAI_API_KEY: ${{ env.OPENAI_KEY }}\n' },
    ],
    [
      'settings of Python read it',
      {
        'settings.py':
          'from pydantic_settings import BaseSettings\nclass Settings(BaseSettings):\n    openai_key: str\n',
      },
    ],
  ] as const)('is not told where %s', async (_title, texts) => {
    const codes = (await findingsIn({ ...python, ...texts }, { OPENAI_KEY: newKey() })).map(
      ({ code }) => code,
    )
    expect(codes).not.toContain('variable_misnamed')
  })

  it('is told where the source has a key of its own, which sets no variable', async () => {
    const literal = newKey()
    const texts = {
      ...nodeWithoutDotenv,
      'index.js': `import OpenAI from 'openai'\nnew OpenAI({ apiKey: '${literal}' })\n`,
    }
    expect(told(await findingsIn(texts, { OPENAI_KEY: newKey() }))).toEqual(['variable_misnamed OPENAI_KEY'])
  })

  it('says nothing of names in examples', async () => {
    const texts = {
      ...node,
      '.env': `OPENAI_API_KEY=${newKey()}\n`,
      '.env.example': 'OPENAI_KEY=your-key-here\n',
    }
    expect(told(await findingsIn(texts))).toEqual([])
  })
})

describe('a key that browsers get', () => {
  it('is told even where the right name is set as well', async () => {
    const env = { OPENAI_API_KEY: newKey() }
    const texts = { ...node, '.env': `VITE_OPENAI_API_KEY=${newKey()}\n` }
    expect(told(await findingsIn(texts, env))).toEqual(['key_in_browser .env:1'])
  })

  it('is told where the source reads that name', async () => {
    const texts = {
      ...reading('NEXT_PUBLIC_OPENAI_KEY'),
      '.env': `NEXT_PUBLIC_OPENAI_KEY=${newKey()}\n`,
      'package.json': '{"dependencies":{"next":"16.0.0"}}',
    }
    expect(told(await findingsIn(texts))).toEqual(['key_in_browser .env:1'])
  })

  it('is not told of what is no key', async () => {
    const texts = { ...node, '.env': `NEXT_PUBLIC_API_URL=https://example.com\nVITE_TOKEN=public\n` }
    expect(told(await findingsIn(texts, { OPENAI_API_KEY: newKey() }))).toEqual([])
  })
})

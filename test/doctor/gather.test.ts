import { describe, expect, it } from 'vitest'
import type { KeyturnCredential } from '../../src/doctor/facts.ts'
import { gather } from '../../src/doctor/gather.ts'
import type { ProjectFacts } from '../../src/doctor/project/project-facts.ts'
import { projectOf, testDoctor } from './context.ts'
import { newKey } from './keys.ts'
import { loaded, loader, scanOf } from './scan.ts'

async function keyOf(
  texts: Readonly<Record<string, string>>,
  scan: ProjectFacts,
  env: Readonly<Record<string, string>> = {},
) {
  const facts = await gather(testDoctor({ env, files: projectOf(texts) }), async () => scan)
  return facts.key
}

describe('the key that the program would use', () => {
  const inShell = newKey()
  const inFile = newKey()
  const text = `OPENAI_API_KEY=${inFile}\n`

  it('is in the environment', async () => {
    const key = await keyOf({}, scanOf(), { OPENAI_API_KEY: inShell })
    expect(key?.place).toEqual({ kind: 'variable', name: 'OPENAI_API_KEY' })
    expect(key?.text.reveal()).toBe(inShell)
  })

  it('is in a .env that something loads', async () => {
    const key = await keyOf({ '.env': text, 'app.js': '' }, loaded(loader('dotenv')))
    expect(key?.place).toEqual({ kind: 'file', path: '.env', line: 1, column: 16, name: 'OPENAI_API_KEY' })
    expect(key?.text.reveal()).toBe(inFile)
  })

  it('is not in a .env that nobody loads', async () => {
    expect(await keyOf({ '.env': text }, scanOf())).toBeUndefined()
  })

  it('is that of the environment where both have one, unless the loader overrides it', async () => {
    const env = { OPENAI_API_KEY: inShell }
    const plain = await keyOf({ '.env': text }, loaded(loader('dotenv')), env)
    expect(plain?.text.reveal()).toBe(inShell)
    const overriding = await keyOf(
      { '.env': text },
      loaded(loader('python-dotenv', 'app.py', { overrides: true })),
      env,
    )
    expect(overriding?.text.reveal()).toBe(inFile)
  })

  it('is none where the environment has an empty one: loaders leave that alone', async () => {
    expect(await keyOf({ '.env': text }, loaded(loader('dotenv')), { OPENAI_API_KEY: '' })).toBeUndefined()
  })

  it('goes to the address of its credential, also while nobody has put it there', async () => {
    const credential = (name: string, baseUrl: string): KeyturnCredential => ({
      name,
      store: 'env',
      baseUrl,
      expectation: {},
      canMint: false,
      stored: { kind: 'absent' },
      permissions: [],
    })
    const urlOf = async (...credentials: readonly KeyturnCredential[]) => {
      const keyturn = async () => ({
        source: 'keyturn.yaml',
        isNamed: false,
        problems: [],
        warnings: [],
        credentials,
      })
      return (await gather(testDoctor({ keyturn }))).baseUrl?.value
    }
    const [here, there] = ['http://127.0.0.1:1/v1', 'https://llm.example.com/v1']
    expect(await urlOf(credential('a', here), credential('b', here))).toBe(here)
    expect(await urlOf(credential('a', here), credential('b', there))).toBeUndefined()
    expect(await urlOf(credential('served', ''))).toBeUndefined()
  })

  it('is no text of the source that only has a name like one', async () => {
    const files = projectOf({
      'names.js':
        "import 'openai'\nconst names = { OPENAI_API_KEY: 'apikey' }\nconst openaiKeyName = 'openai-key'\nconst OPENAI_API_KEY = 'OPENAI_API_KEY'\n",
    })
    expect(await gather(testDoctor({ files }))).toMatchObject({ key: undefined, keys: [] })
  })

  it('is under the name that the source reads', async () => {
    const place = { kind: 'file', path: 'app.js', line: 1 } as const
    const key = await keyOf({}, scanOf({ keyVariables: [{ value: 'MY_KEY', place }] }), { MY_KEY: inShell })
    expect(key?.place).toEqual({ kind: 'variable', name: 'MY_KEY' })
  })

  it('is put together where the loader does that', async () => {
    const texts = { '.env': `SECRET=${inFile}\nOPENAI_API_KEY=\${SECRET}\n` }
    expect((await keyOf(texts, loaded(loader('next', 'package.json'))))?.text.reveal()).toBe(inFile)
    expect((await keyOf(texts, loaded(loader('dotenv'))))?.text.length).toBe('${SECRET}'.length)
  })

  it('is not a reference that something else resolves', async () => {
    const texts = { '.env': 'OPENAI_API_KEY=op://vault/openai/key\n' }
    expect(await keyOf(texts, loaded(loader('dotenv')))).toBeUndefined()
  })
})

describe('which files a loader reads', () => {
  const first = newKey()
  const second = newKey()
  const line = (key: string) => `OPENAI_API_KEY=${key}\n`

  it.each([
    [
      'next: .env.local before .env',
      'next',
      'package.json',
      { '.env': line(second), '.env.local': line(first) },
    ],
    [
      'next: not .env.production while developing',
      'next',
      'package.json',
      { '.env.production': line(second), '.env': line(first) },
    ],
    ['dotenv: .env alone', 'dotenv', 'app.js', { '.env.local': line(second), '.env': line(first) }],
    [
      'a package of a workspace',
      'dotenv',
      'apps/api/src/main.js',
      { 'apps/api/package.json': '{}', 'apps/api/.env': line(first) },
    ],
    [
      'python: upwards from the source',
      'python-dotenv',
      'src/app/main.py',
      { 'src/.env': line(first), '.env': line(second) },
    ],
    ['compose: beside its file', 'compose', 'deploy/compose.yaml', { 'deploy/.env': line(first) }],
  ] as const)('%s', async (_title, name, path, texts) => {
    const key = await keyOf({ ...texts, [path]: '' }, loaded(loader(name, path)))
    expect(key?.text.reveal()).toBe(first)
  })

  it('reads the one that is named', async () => {
    const texts = { 'config/prod.env': line(first), '.env': line(second) }
    const key = await keyOf(
      texts,
      loaded(loader('node --env-file', 'package.json', { path: './config/prod.env' })),
    )
    expect(key?.text.reveal()).toBe(first)
  })

  it('takes any that may be meant where the name is put together', async () => {
    const texts = { 'deploy/production.env': line(first), 'deploy/notes.txt': line(second) }
    for (const path of ['$STAGE.env', './deploy/${1}.env', '$(stage).env'])
      expect((await keyOf(texts, loaded(loader('docker run', 'deploy.sh', { path }))))?.text.reveal()).toBe(
        first,
      )
    expect(
      await keyOf(texts, loaded(loader('docker run', 'deploy.sh', { path: '$STAGE.conf' }))),
    ).toBeUndefined()
  })

  it('knows one key in two files, though its loader leaves the quotes of one on it', async () => {
    const texts = { 'a.env': `OPENAI_API_KEY="${first}"\n`, 'b.env': line(first) }
    const doctor = testDoctor({ files: projectOf(texts) })
    const scan = loaded(loader('docker run', 'deploy.sh', { path: '$STAGE.env' }))
    const { key, keys } = await gather(doctor, async () => scan)
    expect(key?.text.reveal()).toBe(`"${first}"`)
    expect(keys.map(({ text }) => text.reveal())).toEqual([first, first])
  })

  it('does not look beside the source where the program starts at its manifest', async () => {
    const texts = { 'src/.env': line(first), 'package.json': '{}' }
    expect(await keyOf(texts, loaded(loader('dotenv', 'src/main.js')))).toBeUndefined()
  })

  it('leaves examples alone', async () => {
    const facts = await gather(
      testDoctor({
        files: projectOf({
          '.env.example': line(first),
          '.env.sample': line(first),
          'test/fixtures/.env': line(first),
        }),
      }),
    )
    expect(facts.dotenv).toEqual([])
  })
})

describe('other settings', () => {
  it('are taken as the libraries take them', async () => {
    const env = { OPENAI_BASE_URL: ' http://127.0.0.1:4010/v1 ', OPENAI_ORG_ID: ' ' }
    const texts = { '.env': 'OPENAI_PROJECT_ID="proj_abc"\n' }
    const facts = await gather(testDoctor({ env, files: projectOf(texts) }), async () =>
      loaded(loader('dotenv')),
    )
    expect(facts.baseUrl).toEqual({
      value: 'http://127.0.0.1:4010/v1',
      place: { kind: 'variable', name: 'OPENAI_BASE_URL' },
    })
    expect(facts.organization).toBeUndefined()
    expect(facts.project).toMatchObject({ value: 'proj_abc', place: { kind: 'file', path: '.env', line: 1 } })
  })
})

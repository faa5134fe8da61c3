import { describe, expect, it } from 'vitest'
import { newKey } from '../keys.ts'
import { type About, codesAt, lines, lookAt, type Texts } from './look.ts'

const env = { OPENAI_API_KEY: newKey() }
const python = (...rest: readonly string[]) => lines('from openai import OpenAI', ...rest)
const script = (...rest: readonly string[]) => lines("import OpenAI from 'openai'", ...rest)

type Row = readonly [name: string, code: string, texts: Texts, about?: About]

const rows: readonly Row[] = [
  // T02
  [
    'a variable that nothing sets, in Python',
    'variable_misnamed app.py:3',
    { 'app.py': python('import os', 'client = OpenAI(api_key=os.environ["OPENAI_KEY"])') },
    { env },
  ],
  [
    'a variable that nothing sets, in JavaScript',
    'variable_misnamed app.mjs:2',
    { 'app.mjs': script('const client = new OpenAI({ apiKey: process.env.OPEN_AI_KEY })') },
    { env },
  ],
  [
    'a variable that nothing sets, over a name',
    'variable_misnamed app.ts:3',
    { 'app.ts': script('const apiKey = process.env.OPENAI_TOKEN!', 'const client = new OpenAI({ apiKey })') },
    { env },
  ],
  [
    'a variable that nothing sets, in Go',
    'variable_misnamed main.go:2',
    {
      'main.go': lines(
        'package main',
        'var client = openai.NewClient(option.WithAPIKey(os.Getenv("OPENAI_KEY")))',
      ),
    },
    { env },
  ],
  [
    'a variable that nothing sets, in Ruby',
    'variable_misnamed app.rb:1',
    { 'app.rb': lines('client = OpenAI::Client.new(access_token: ENV.fetch("OPENAI_TOKEN"))') },
    { env },
  ],
  // T03
  [
    'a placeholder in Python',
    'key_placeholder app.py:2',
    { 'app.py': python('client = OpenAI(api_key="YOUR_OPENAI_API_KEY")') },
  ],
  [
    'a placeholder of the old library',
    'key_placeholder app.py:2',
    { 'app.py': lines('import openai', 'openai.api_key = "sk-your-key-here"') },
  ],
  [
    'a placeholder in a header',
    'key_placeholder app.js:3',
    {
      'app.js': lines(
        "fetch('https://api.openai.com/v1/models', {",
        '  headers: {',
        "    Authorization: 'Bearer YOUR_API_KEY',",
        '  },',
        '})',
      ),
    },
  ],
  [
    'a placeholder that is set as the variable',
    'key_placeholder app.py:3',
    { 'app.py': python('import os', 'os.environ["OPENAI_API_KEY"] = "sk-..."') },
  ],
  // T06
  [
    "another provider's key",
    'key_of_other_provider app.ts:2',
    { 'app.ts': script(`new OpenAI({ apiKey: '${['sk', 'ant', 'a1b2c3'].join('-')}' })`) },
  ],
  // T24
  [
    'no /v1',
    'base_url_wrong app.py:2',
    { 'app.py': python('client = OpenAI(base_url="https://api.openai.com")') },
  ],
  [
    'a path too many',
    'base_url_wrong app.ts:2',
    { 'app.ts': script("new OpenAI({ baseURL: 'https://api.openai.com/v1/chat/completions' })") },
  ],
  [
    'plain HTTP',
    'base_url_wrong app.ts:2',
    { 'app.ts': script("new OpenAI({ baseURL: 'http://api.openai.com/v1' })") },
  ],
  [
    "Azure's address in the plain client",
    'base_url_wrong app.py:2',
    { 'app.py': python('client = OpenAI(base_url="https://it.openai.azure.com/openai/deployments/x")') },
  ],
  [
    "another vendor's address",
    'base_url_wrong app.py:2',
    { 'app.py': python('client = OpenAI(base_url="https://openrouter.ai/api/v1")') },
  ],
  // T29
  [
    'a key in the source',
    'key_in_source app.py:2',
    { 'app.py': python(`client = OpenAI(api_key="${newKey()}")`) },
  ],
  [
    'a key in which chance put one letter five times in a row',
    'key_in_source app.py:2',
    { 'app.py': python(`client = OpenAI(api_key="${newKey().slice(0, -7)}-aaaaa-")`) },
  ],
  [
    'a key of the old form',
    'key_in_source lib/a.js:1',
    { 'lib/a.js': lines(`const key = '${newKey('legacy')}'`) },
  ],
  ['a key in a comment', 'key_in_source lib/a.js:1', { 'lib/a.js': lines(`// ${newKey('svcacct')}`) }],
  ['an admin key in the source', 'key_in_source a.go:1', { 'a.go': lines(`var key = "${newKey('admin')}"`) }],
  [
    'a committed .env',
    'key_in_repository .env:1',
    { '.env': lines(`OPENAI_API_KEY=${newKey()}`) },
    { tracked: ['.env'] },
  ],
  [
    'a key in a committed document',
    'key_in_repository notes.md:2',
    { 'notes.md': lines('# Notes', newKey()) },
    { tracked: ['notes.md'] },
  ],
  [
    'a key in a file of settings',
    'key_in_repository config.json:1',
    { 'config.json': lines(`{"key":"${newKey()}"}`) },
  ],
  [
    'a key in an example',
    'key_in_repository .env.example:1',
    { '.env.example': lines(`OPENAI_API_KEY=${newKey()}`) },
  ],
  // T31
  [
    'an old library of npm',
    'client_outdated package.json:1',
    { 'package.json': '{"dependencies":{"openai":"^3.3.0"}}' },
  ],
  [
    'an old library of Python',
    'client_outdated requirements.txt:2',
    { 'requirements.txt': lines('flask', 'openai==0.28.1') },
  ],
  [
    'an old library that is installed',
    'client_outdated requirements.txt:1',
    { 'requirements.txt': lines('openai') },
    { installed: { 'python:openai': '0.27.0' } },
  ],
  [
    'an upper bound below the first version',
    'client_outdated pyproject.toml:2',
    { 'pyproject.toml': lines('[project]', 'dependencies = ["openai>=0.27,<1.0"]') },
  ],
  [
    'calls that the library lost',
    'client_outdated app.py:2',
    {
      'app.py': lines('import openai', 'openai.ChatCompletion.create(messages=[])'),
      'requirements.txt': 'openai==1.40.0',
    },
  ],
  [
    'an empty key',
    'client_overrides_key app.ts:2',
    { 'app.ts': script("new OpenAI({ apiKey: '' })") },
    { env },
  ],
  [
    'a text that wins over the variable',
    'client_overrides_key app.py:2',
    { 'app.py': python('client = OpenAI(api_key="my own secret text")') },
    { env },
  ],
  [
    'a client in the browser',
    'client_in_browser app.tsx:2',
    { 'app.tsx': script('const client = new OpenAI({ apiKey: key, dangerouslyAllowBrowser: true })') },
  ],
  [
    'a variable that browsers get',
    'client_in_browser app.tsx:2',
    { 'app.tsx': script('const key = process.env.NEXT_PUBLIC_OPENAI_API_KEY') },
  ],
  // T38
  [
    'load_dotenv after the client',
    'dotenv_too_late app.py:4',
    { 'app.py': python('from dotenv import load_dotenv', 'client = OpenAI()', 'load_dotenv()') },
  ],
  [
    'load_dotenv after the variable is read',
    'dotenv_too_late app.py:5',
    {
      'app.py': lines(
        'import os',
        'from openai import OpenAI',
        'from dotenv import load_dotenv',
        'KEY = os.getenv("OPENAI_API_KEY")',
        'load_dotenv()',
      ),
    },
  ],
  [
    'load_dotenv after the module that builds it',
    'dotenv_too_late main.py:3',
    {
      'main.py': lines('from dotenv import load_dotenv', 'from app.ai import client', 'load_dotenv()'),
      'app/ai.py': python('client = OpenAI(', '    timeout=3,', ')'),
    },
  ],
  [
    'load_dotenv in main, after an import of an import',
    'dotenv_too_late main.py:4',
    {
      'main.py': lines(
        'from dotenv import load_dotenv',
        'from app import openai_routes',
        'if __name__ == "__main__":',
        '    load_dotenv()',
      ),
      'app/openai_routes.py': lines('from .openai_client import client'),
      'app/openai_client.py': python('client = OpenAI()'),
    },
  ],
  [
    'dotenv.config after the client',
    'dotenv_too_late app.cjs:4',
    {
      'app.cjs': lines(
        "const OpenAI = require('openai')",
        "const dotenv = require('dotenv')",
        'const client = new OpenAI()',
        'dotenv.config()',
      ),
    },
  ],
  [
    'dotenv.config behind imports that are carried out first',
    'dotenv_too_late main.mjs:2',
    {
      'main.mjs': lines(
        "import dotenv from 'dotenv'",
        'dotenv.config()',
        "import { client } from './client.mjs'",
      ),
      'client.mjs': script('export const client = new OpenAI()'),
    },
  ],
  [
    'an import of dotenv after that of the client',
    'dotenv_too_late main.ts:2',
    {
      'main.ts': lines("import { client } from './client'", "import 'dotenv/config'"),
      'client.ts': script('export const client = new OpenAI()'),
    },
  ],
  // T40
  [
    'a retired model',
    'model_retired app.py:3',
    {
      'app.py': python(
        'client = OpenAI()',
        'client.chat.completions.create(model="gpt-3.5-turbo-0301", messages=[])',
      ),
    },
  ],
  [
    'a retired model in a body',
    'model_retired app.ts:1',
    { 'app.ts': lines("const body = { 'model': 'text-davinci-003' } // openai") },
  ],
  [
    'a retired model by the name of an engine',
    'model_retired app.py:2',
    { 'app.py': lines('import openai', 'openai.Completion.create(engine="code-davinci-002", prompt="")') },
  ],
  [
    'a retired endpoint',
    'endpoint_retired app.js:1',
    { 'app.js': lines("fetch('https://api.openai.com/v1/engines/davinci/completions')") },
  ],
  [
    'a call of former years',
    'endpoint_retired app.py:2',
    { 'app.py': lines('import openai', 'openai.Edit.create(input="")') },
  ],
]

describe('sources', () => {
  it.each(rows.map(([name, ...rest]) => [name, rest] as const))(
    '%s: found, and nothing else',
    async (_name, [code, texts, about]) => {
      expect(await codesAt(texts, about)).toEqual([code])
    },
  )
})

const healthy: readonly (readonly [name: string, texts: Texts, about?: About])[] = [
  [
    'the variable by its name',
    { 'app.py': python('import os', 'client = OpenAI(api_key=os.environ["OPENAI_API_KEY"])') },
    { env },
  ],
  [
    'another variable that is set',
    { 'app.py': python('import os', 'client = OpenAI(api_key=os.environ["MY_KEY"])') },
    { env: { ...env, MY_KEY: newKey() } },
  ],
  [
    'another variable that .env sets',
    {
      'app.ts': script("import 'dotenv/config'", 'new OpenAI({ apiKey: process.env.AI_KEY })'),
      '.env': `AI_KEY=${newKey()}`,
    },
    { env, ignored: ['.env'] },
  ],
  [
    'a file that holds the key',
    { 'app.ts': script('new OpenAI({ apiKey: readFileSync(process.env.OPENAI_API_KEY_FILE) })') },
    { env },
  ],
  [
    'a variable of Azure in its client',
    {
      'app.py': lines(
        'from openai import AzureOpenAI',
        'client = AzureOpenAI(api_key=os.environ["AZURE_KEY"], azure_endpoint="https://a.openai.azure.com")',
      ),
    },
    { env },
  ],
  [
    'a server of one’s own with a key that is none',
    { 'app.py': python('client = OpenAI(base_url="http://localhost:11434/v1", api_key="ollama")') },
    { env },
  ],
  [
    "another vendor with that vendor's variable",
    {
      'app.py': python(
        'client = OpenAI(base_url="https://openrouter.ai/api/v1", api_key=os.environ["OPENROUTER_API_KEY"])',
      ),
    },
    { env },
  ],
  [
    "another vendor's address with that vendor's key in the usual variable",
    { 'app.py': python('client = OpenAI(base_url="https://openrouter.ai/api/v1")') },
    { env: { OPENAI_API_KEY: ['sk', 'or', 'v1', 'a1b2c3d4'].join('-') } },
  ],
  [
    'a placeholder as a fallback',
    { 'app.py': python('os.environ.setdefault("OPENAI_API_KEY", "sk-test")', 'client = OpenAI()') },
    { env },
  ],
  [
    'placeholders in tests, documents and examples',
    {
      'tests/test_app.py': python('client = OpenAI(api_key="sk-test")'),
      'README.md': 'OpenAI(api_key="YOUR_API_KEY")',
      'examples/a.py': python('OpenAI(api_key="your-key")'),
      '.env.example': 'OPENAI_API_KEY=sk-your-key-here',
    },
    { env },
  ],
  [
    'code in comments and strings',
    {
      'app.py': python(
        '# client = OpenAI(api_key="YOUR_API_KEY")',
        '"""',
        'client = OpenAI(api_key="YOUR_API_KEY", base_url="http://api.openai.com")',
        '"""',
      ),
    },
    { env },
  ],
  [
    'code in comments of JavaScript',
    {
      'app.ts': script(
        "// new OpenAI({ apiKey: '' })",
        "/* new OpenAI({ apiKey: '' }) */",
        "const a = /[/'\"]new OpenAI({ apiKey: '' })/",
        "const b = `${`new OpenAI({ apiKey: '' })`}`",
      ),
    },
    { env },
  ],
  ['a class by that name', { 'app.py': lines('class OpenAI(object):', '    api_key = ""') }, { env }],
  [
    'keys that nobody was given',
    {
      'app.py': lines(
        `KEY = "sk-proj-${'abcdefghijklmnopqrstuvwxyz'.repeat(5)}"`,
        `OTHER = "sk-${'x'.repeat(48)}"`,
      ),
    },
    { env },
  ],
  [
    'a key in an ignored file',
    { '.env': `OPENAI_API_KEY=${newKey()}`, 'secrets.json': newKey() },
    { ignored: ['.env', 'secrets.json'] },
  ],
  ['a key in .env where there is no repository', { '.env': `OPENAI_API_KEY=${newKey()}` }],
  [
    'an old library of an example',
    {
      'examples/old/requirements.txt': 'openai==0.28.1',
      'docs/package.json': '{"dependencies":{"openai":"3.0.0"}}',
    },
  ],
  [
    'libraries of today',
    {
      'package.json': '{"dependencies":{"openai":"^4.20.0"}}',
      'requirements.txt': 'openai>=1.2',
      'pyproject.toml': 'dependencies = ["openai"]',
    },
  ],
  [
    'load_dotenv first',
    {
      'app.py': lines(
        'from dotenv import load_dotenv',
        'load_dotenv()',
        'from openai import OpenAI',
        'client = OpenAI()',
      ),
    },
  ],
  [
    'a client that a function builds',
    {
      'app.py': python(
        'from dotenv import load_dotenv',
        'def client():',
        '    return OpenAI(',
        'timeout=3)',
        'load_dotenv()',
      ),
    },
  ],
  [
    'an import of dotenv anywhere in the file of the client',
    { 'app.mjs': script('const client = new OpenAI()', "import 'dotenv/config'") },
  ],
  [
    'dotenv.config between imports of TypeScript that becomes CommonJS',
    {
      'main.ts': lines("import dotenv from 'dotenv'", 'dotenv.config()', "import { client } from './client'"),
      'client.ts': script('export const client = new OpenAI()'),
    },
  ],
  [
    'a module that loads it by itself',
    {
      'main.py': lines(
        'from dotenv import load_dotenv',
        'from settings import KEY',
        'from ai import client',
        'load_dotenv()',
      ),
      'settings.py': lines(
        'from dotenv import load_dotenv',
        'load_dotenv()',
        'KEY = os.environ["OPENAI_API_KEY"]',
      ),
      'ai.py': python('client = OpenAI()'),
    },
  ],
  [
    'a late load where the environment has the key',
    { 'app.py': python('client = OpenAI()', 'load_dotenv()') },
    { env },
  ],
  [
    'a late load where a flag loads it before',
    {
      'app.cjs': lines('const client = new OpenAI()', 'dotenv.config()'),
      'package.json': '{"scripts":{"start":"node --env-file=.env app.cjs"}}',
    },
  ],
  [
    'models of today',
    {
      'app.py': python(
        'OpenAI().responses.create(model="gpt-5-mini", input="")',
        'names = ["ada", "davinci"]',
      ),
    },
  ],
  [
    'models of others',
    { 'app.py': lines('# openai', 'run(model="claude-3-opus")', 'run(model="gpt-oss-20b")') },
  ],
  [
    'retired models in documents and in Azure',
    {
      'docs/a.py': python('run(model="text-davinci-003")'),
      'CHANGES.md': 'text-davinci-003',
      'az.py': lines('from openai import AzureOpenAI', 'run(model="gpt-4")'),
    },
  ],
  ['a base URL with its /v1', { 'app.py': python('client = OpenAI(base_url="https://api.openai.com/v1")') }],
  [
    'what a bundler wrote',
    {
      'static/app.min.js': 'new OpenAI({apiKey:""})',
      'public/bundle.js': `new OpenAI({apiKey:""});${'a();'.repeat(8_000)}`,
    },
  ],
]

describe('healthy sources', () => {
  it.each(healthy.map(([name, ...rest]) => [name, rest] as const))(
    '%s: nothing is found',
    async (_name, [texts, about]) => {
      expect(await codesAt(texts, about)).toEqual([])
    },
  )
})

describe('the fix of a leaked key', () => {
  it('is the dashboard, and the way out of the repository', async () => {
    const [finding] = await lookAt({ '.env': `OPENAI_API_KEY=${newKey()}` }, { tracked: ['.env'] })
    expect(finding?.fix).toBe(
      'Revoke the key at https://platform.openai.com/api-keys and make a new one.\ngit rm --cached --ignore-unmatch .env && echo .env >> .gitignore',
    )
    expect(finding?.fingerprint).toMatch(/^[0-9a-f]{12}$/)
  })

  it('is to take it out where a document has it, and nothing where a file outside of a repository has nothing else', async () => {
    const [finding] = await lookAt({ 'notes.md': `# Notes\n${newKey()}\n` }, { tracked: ['notes.md'] })
    expect(finding?.fix).toContain('Then take it out of notes.md.')
    const alone = { 'key.txt': `${newKey()}\n` }
    expect(await lookAt(alone)).toEqual([])
    expect(await lookAt(alone, { tracked: ['key.txt'] })).toMatchObject([{ code: 'key_in_repository' }])
  })

  it('is a warning where the next commit would take it along', async () => {
    const [finding] = await lookAt({ '.env': `OPENAI_API_KEY=${newKey()}` }, { tracked: ['a.py'] })
    expect([finding?.code, finding?.severity]).toEqual(['key_in_repository', 'warning'])
  })
})

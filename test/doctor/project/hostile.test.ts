import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { languageOf, readSource } from '../../../src/doctor/project/source-text.ts'
import { newKey, type TestKeyKind } from '../keys.ts'
import { lookAt } from './look.ts'

const paths = [
  'app.py',
  'app.ts',
  'app.go',
  'app.rb',
  'app.rs',
  'app.php',
  'run.sh',
  'App.java',
  'survey.ipynb',
  'package.json',
  'requirements.txt',
  'pyproject.toml',
  'Dockerfile',
  '.dockerignore',
  'compose.yaml',
  'k8s/all.yaml',
  '.github/workflows/ci.yml',
  'serverless.yml',
  'app.yaml',
  'web.service',
  'crontab',
  'tox.ini',
  'a.plist',
  '.vscode/launch.json',
  '.env',
  'notes.md',
]

/** Pieces that the checks look for, put together without sense. */
const pieces = [
  ...`OpenAI( new OpenAI({ apiKey: api_key= baseURL base_url= openai. os.environ[ process.env. OPENAI_API_KEY OPENAI_KEY
  """ ''' ' " \` \${ } { ( ) [ ] // /* */ # \\ / , : ; = - | > & * << ? import from require( load_dotenv() dotenv.config()
  ENV ARG COPY FROM services: environment: kind: Secret ConfigMap data: stringData: metadata: name: openai spec: containers:
  env: value: jobs: steps: run: python app.py ExecStart= https://api.openai.com model= gpt-4-vision-preview \0 \uFEFF`.split(
    /\s+/,
  ),
  '\n',
  '\n  ',
  '\t',
  ' ',
]
const kinds: readonly TestKeyKind[] = ['proj', 'svcacct', 'admin', 'legacy']
const nonsense = fc.array(fc.oneof(fc.constantFrom(...pieces), fc.string({ unit: 'binary', maxLength: 6 })), {
  maxLength: 60,
})

/** Every run of eight characters of the key's random part. */
function secretsOf(key: string): readonly string[] {
  const random = key.replace(/^sk-(?:proj-|svcacct-|admin-)?/, '')
  return Array.from({ length: random.length - 7 }, (_, at) => random.slice(at, at + 8)).filter(
    (piece) => piece !== Buffer.from('OpenAI').toString('base64'),
  )
}

describe('whatever is in the files', () => {
  it('nothing throws', async () => {
    const texts = fc.dictionary(
      fc.constantFrom(...paths),
      nonsense.map((words) => words.join('')),
      { maxKeys: 6 },
    )
    await fc.assert(
      fc.asyncProperty(texts, async (texts) => {
        expect(await lookAt(texts)).toBeInstanceOf(Array)
      }),
      { numRuns: 300 },
    )
  })

  it('the bare text is as long as the text, with its lines, and without what was in quotes', () => {
    fc.assert(
      fc.property(fc.constantFrom(...paths), nonsense, (path, words) => {
        const text = words.join('')
        const language = languageOf(path) ?? 'javascript'
        const { bare, literals } = readSource(path, language, text)
        expect(bare).toHaveLength(text.length)
        expect(bare.split('\n')).toHaveLength(text.split('\n').length)
        for (const { start, end, value } of literals) expect(text.slice(start, end)).toContain(value)
      }),
      { numRuns: 1_000 },
    )
  })

  it('no eight characters of a key are shown, wherever it stands', async () => {
    const around = fc
      .tuple(nonsense, nonsense)
      .map(([before, after]) => [before.join(''), after.join('')] as const)
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...paths),
        fc.constantFrom(...kinds),
        around,
        async (path, kind, [before, after]) => {
          const key = newKey(kind)
          const texts = {
            'other.py': `client = OpenAI(api_key=os.environ["${key}"], base_url="https://x.${key}/${key}")`,
            [path]: `${before}${key}${after}`,
          }
          const shown = JSON.stringify(await lookAt(texts, { env: { OPENAI_API_KEY: key }, tracked: [path] }))
          expect(secretsOf(key).filter((piece) => shown.includes(piece))).toEqual([])
        },
      ),
      { numRuns: 300 },
    )
  })

  it.each([
    [
      'a key as a name in Kubernetes',
      'k.yaml',
      (key: string) => `kind: ConfigMap\nmetadata: {name: ${key}}\ndata: {${key}: ${key}}`,
    ],
    [
      'a key as the name of a variable',
      'app.py',
      (key: string) => `import openai\nopenai.OpenAI(api_key=os.environ["${key.replaceAll('-', '_')}"])`,
    ],
    ['a key as a model', 'app.py', (key: string) => `import openai\nrun(model="ft:gpt-${key}")`],
    [
      'a key as a Secret',
      'k.yaml',
      (key: string) => `kind: Secret\nmetadata: {name: a}\nstringData: {${key}: " ${key}"}`,
    ],
  ])('%s is not shown', async (_name, path, text) => {
    const key = newKey()
    const shown = JSON.stringify(await lookAt({ [path]: text(key) }, { env: { OPENAI_API_KEY: key } }))
    expect(secretsOf(key).filter((piece) => shown.includes(piece))).toEqual([])
  })
})

describe('long lines', () => {
  const repeated = (piece: string, size: number) =>
    piece.repeat(Math.ceil(size / piece.length)).slice(0, size)
  /** Sources of longer lines count as written by a bundler; manifests do not. */
  const shapes = (piece: string) => [
    repeated(piece, 19_000),
    `${repeated(piece, 400)}\n`.repeat(150),
    repeated(piece, 60_000),
  ]
  const fillings = [
    '(',
    '[',
    '{',
    ' ',
    '\t',
    'a',
    '"',
    "'",
    '`',
    '${',
    '/',
    '//',
    '/*',
    '\\',
    '#',
    '-',
    '=',
    ',',
    ':',
    '.',
    '0',
    'sk-',
    'import {',
    'from ',
    'process.env.',
    '{a} = ',
    '--env-file ',
    'docker ',
    'openai ',
    'OPENAI_',
    'x: &a [*a,',
    '- ',
    '? ',
    '\n',
    '\n ',
    'A=',
    '* ',
    '@a ',
    '<key>',
  ]

  // What would take minutes, or for ever, where work grew with the square of a line's length, is over in no time.
  it.each(fillings)(
    'of %j are read in time that grows with their length alone',
    { timeout: 60_000 },
    async (piece) => {
      for (const filling of shapes(piece)) {
        const texts = Object.fromEntries(
          paths.map((path) => [
            path,
            `openai dotenv OPENAI_API_KEY\n${filling}\nkind: Secret\n${filling.slice(0, 500)}`,
          ]),
        )
        expect(await lookAt(texts)).toBeInstanceOf(Array)
      }
    },
  )
})

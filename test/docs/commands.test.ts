import { describe, expect, it } from 'vitest'
import { buildProgram } from '../../src/cli/program.ts'
import { groups, specs } from '../../src/cli/specs.ts'
import { fencesOf, withoutCode } from './markdown.ts'
import { pages } from './pages.ts'
import { keyturnLines } from './shell-words.ts'

const shells = new Set(['sh', 'bash', 'console', 'shell', ''])
const silent = { stdout: { write: () => true }, stderr: { write: () => true }, version: () => '0' }

/** What the parser says against a command line; undefined where it takes it. */
async function problemOf(words: readonly string[]): Promise<string | undefined> {
  try {
    const io = silent as unknown as Parameters<typeof buildProgram>[0]
    await buildProgram(io, () => Promise.resolve()).parseAsync([...words], { from: 'user' })
    return undefined
  } catch (thrown) {
    const code = (thrown as { readonly code?: string }).code
    return code === 'commander.helpDisplayed' || code === 'commander.version' ? undefined : String(thrown)
  }
}

const typed = pages().flatMap(({ path, text }) =>
  fencesOf(text)
    .filter(({ language }) => shells.has(language))
    .flatMap(({ code, line }) => keyturnLines(code).map((words) => ({ at: `${path}:${line}`, words }))),
)

describe('the commands that pages tell to type', () => {
  it('are found', () => {
    expect(typed.length).toBeGreaterThan(50)
  })

  it('are all known, with their options and arguments', async () => {
    const wrong: string[] = []
    for (const { at, words } of typed) {
      const problem = await problemOf(words)
      if (problem !== undefined) wrong.push(`${at}: keyturn ${words.join(' ')}: ${problem}`)
    }
    expect(wrong).toEqual([])
  })
})

/** In a sentence a command may go without its arguments; its name and its options have to be real. */
function wrongIn(quoted: string): string | undefined {
  const words = quoted
    .replaceAll(/[[\]…]/g, ' ')
    .trim()
    .split(/\s+/)
    .slice(1)
  const names = [words.slice(0, 2).join(' '), words[0] ?? '']
  const spec = names.map((name) => specs.find((one) => one.name === name)).find((one) => one !== undefined)
  const isOwn = ['', 'help', '--help', '--version', 'COMMAND'].includes(words[0] ?? '')
  if (isOwn || (spec === undefined && groups[words[0] ?? ''] !== undefined)) return undefined
  if (spec === undefined) return 'no such command'
  const known = new Set([
    '--json',
    '--help',
    '--bundle',
    ...spec.options.map(({ flags }) => flags.split(' ')[0]),
  ])
  return words.find((word) => word.startsWith('--') && !known.has(word.replace(/[=.,;:]$/, '')))
}

describe('the commands that pages name in sentences', () => {
  const named = pages().flatMap(({ path, text }) =>
    [...withoutCode(text).matchAll(/`((?:npx )?keyturn [^`]+)`/g)].map(([, quoted = '']) => ({
      path,
      quoted: (quoted.split(/[|<>]|&&/)[0] ?? '').replace(/^npx /, ''),
    })),
  )

  it('have names and options that are real', () => {
    expect(named.length).toBeGreaterThan(60)
    const wrong = named.map(({ path, quoted }) => ({ path, quoted, why: wrongIn(quoted) }))
    expect(wrong.filter(({ why }) => why !== undefined)).toEqual([])
  })
})

describe('the reader of shell', () => {
  it.each([
    ['npx keyturn rotate openai --wait', [['rotate', 'openai', '--wait']]],
    ['KEYTURN_HOME=/tmp/a keyturn tick --json | jq .', [['tick', '--json']]],
    ['OPENAI_API_KEY="$(keyturn get openai)" node app.js', [['get', 'openai']]],
    ['keyturn bring openai < key.txt  # or type it', [['bring', 'openai']]],
    ["keyturn rotate --all \\\n  --match 'team-*' 2> log", [['rotate', '--all', '--match', 'team-*']]],
    ['cd keyturn\n# keyturn never', []],
    ['keyturn serve &\nkeyturn status', [['serve'], ['status']]],
  ])('takes %j apart', (shell, words) => {
    expect(keyturnLines(shell)).toEqual(words)
  })

  it.each([['rotat openai'], ['rotate openai --now'], ['rotate openai again'], ['get']])(
    'and the parser refuses keyturn %s',
    async (line) => {
      expect(await problemOf(line.split(' '))).toMatch(/error/i)
    },
  )
})

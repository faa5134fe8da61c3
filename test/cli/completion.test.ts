import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, type TestContext } from 'vitest'
import { type Shell, shells } from '../../src/cli/choices.ts'
import { places, valueOptions } from '../../src/cli/completion/tree.ts'
import { run } from '../../src/cli/main.ts'
import { specs } from '../../src/cli/specs.ts'
import { fakeIo } from './fake-io.ts'
import { fakeService } from './fake-service.ts'
import { apiKey, operatorToken, summaryOf } from './samples.ts'

let folder = ''

/** What a shell would run if it took a name for a command. */
const trap = (): string => join(folder, 'sprung')
const names = (): readonly string[] => [
  'openai',
  'openai-prod',
  `$(touch ${trap()})`,
  `\`touch ${trap()}\``,
  `x;touch ${trap()}`,
  `y'"z`,
  'a b',
  'web:1',
  '*',
  '日本',
]

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'keyturn-completion-'))
  for (const shell of shells) {
    const io = fakeIo()
    await run(['completion', shell], io)
    writeFileSync(join(folder, `keyturn.${shell}`), io.out())
  }
  writeFileSync(join(folder, 'names'), `${names().join('\n')}\n`)
  // In place of the command: it has names to offer, and shows what else it is called with.
  const fake = `#!/bin/sh
if [ "$1" = completion ]; then echo "$@" >> '${folder}/asked'; cat '${folder}/names'; exit; fi
printf 'GOT'; printf '<%s>' "$@"; printf '\\n'
`
  writeFileSync(join(folder, 'keyturn'), fake)
  chmodSync(join(folder, 'keyturn'), 0o755)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const environment = (): NodeJS.ProcessEnv => ({
  PATH: `${folder}:${process.env['PATH']}`,
  HOME: folder,
  LC_ALL: 'C.UTF-8',
  TERM: 'xterm',
})

function needs(shell: Shell, { skip }: TestContext): void {
  const found = spawnSync(shell, ['--version'], { env: environment() })
  if (found.error !== undefined) skip(`${shell} is not installed on this machine`)
}

/** What the shell would offer at the end of the line. */
const offers: Readonly<Record<Shell, (line: string) => readonly string[]>> = {
  bash: (line) =>
    sh(
      'bash',
      ['--norc', '-c'],
      `source "$1"
COMP_LINE="$2" COMP_POINT=\${#2} COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
_keyturn
for one in "\${COMPREPLY[@]}"; do printf '%s\\n' "$one"; done`,
      line,
    ),
  // compadd and what is made of it work only while a person types: what they are given is what is looked at.
  zsh: (line) =>
    sh(
      'zsh',
      ['-f', '-c'],
      `compdef() { :; }
compadd() { while [[ "$1" != -- ]]; do shift; done; shift; print -rl -- "$@"; }
_describe() { local one; for one in "\${(@P)4}"; do print -r -- "\${one%%:*}"; done; }
_files() { print -r -- FILES; }
compset() { PREFIX="\${PREFIX#*=}"; }
source "$1"
words=("\${(@z)2}"); [[ "$2" == *' ' ]] && words+=(''); CURRENT=\${#words}; PREFIX="\${words[CURRENT]}"
_keyturn | while IFS= read -r one; do [[ "$one" == "$PREFIX"* ]] && print -r -- "$one"; done
true`,
      line,
    ),
  fish: (line) =>
    sh('fish', ['--no-config', '-c'], 'source $argv[1]; complete -C $argv[2]', line).map(
      (one) => one.split('\t')[0] ?? '',
    ),
}

function sh(shell: Shell, options: readonly string[], script: string, line: string): readonly string[] {
  const own = join(folder, `keyturn.${shell}`)
  const name = shell === 'fish' ? [] : ['shell']
  const { stdout, stderr } = spawnSync(shell, [...options, script, ...name, own, line], {
    env: environment(),
    cwd: folder,
    encoding: 'utf8',
  })
  expect(stderr).toBe('')
  return stdout.split('\n').filter((one) => one !== '')
}

describe('what completion knows', () => {
  it('is every command and every option of the specs', () => {
    const known = new Map(places().map((place) => [place.at, place]))
    for (const spec of specs) {
      const place = known.get(spec.name)
      const words = place?.options.map(({ word }) => word) ?? []
      for (const { flags } of spec.options) expect(words).toContain(flags.split(' ')[0])
      const parent = known.get(spec.name.split(' ').slice(0, -1).join(' '))
      expect(parent?.commands.map(({ word }) => word)).toContain(spec.name.split(' ').at(-1))
    }
  })

  it('takes no option for a switch in one command and for one with a value in another', () => {
    const switches = places().flatMap((place) => place.options.filter(({ takesValue }) => !takesValue))
    expect(switches.map(({ word }) => word).filter((word) => valueOptions().includes(word))).toEqual([])
  })
})

describe.each(shells.map((shell) => [shell]))('in %s', (shell) => {
  const rows: readonly (readonly [line: string, offered: readonly string[]])[] = [
    ['keyturn sta', ['status']],
    ['keyturn report v', ['verify']],
    ['keyturn token ', ['create', 'list', 'revoke', 'rotate']],
    ['keyturn rotate openai --w', ['--wait', '--wave']],
    ['keyturn token create --role ', ['app', 'operator']],
    ['keyturn audit list --kind re', ['read', 'refusal']],
    ['keyturn status openai-', ['openai-prod']],
    ['keyturn rotate --reason because openai-', ['openai-prod']],
    ['keyturn nonsense ', []],
  ]

  it.for(rows)('%s', ([line, offered], context) => {
    needs(shell, context)
    expect(offers[shell](line).toSorted()).toEqual(offered)
  })

  it('files are offered where a file is wanted', (context) => {
    needs(shell, context)
    const offered = offers[shell]('keyturn report verify keyt').toSorted()
    expect(offered).toEqual(
      shell === 'zsh' ? [] : ['keyturn', ...shells.map((one) => `keyturn.${one}`).toSorted()],
    )
  })

  it('asks only for what may stand there, with the credential that was named', (context) => {
    needs(shell, context)
    writeFileSync(join(folder, 'asked'), '')
    offers[shell]('keyturn leases openai --drop web')
    expect([...new Set(readFileSync(join(folder, 'asked'), 'utf8').trim().split('\n'))]).toEqual([
      'completion values instances openai',
    ])
  })

  it('names with odd characters are offered whole, and nothing in them is run', (context) => {
    needs(shell, context)
    const offered = offers[shell]('keyturn status ')
    const whole =
      shell === 'bash'
        ? offered.map((one) => sh('bash', ['--norc', '-c'], 'eval "printf %s $2"', one).join('\n'))
        : offered
    expect(whole.toSorted()).toEqual(names().toSorted())
    expect(existsSync(trap())).toBe(false)
  })
})

it('what zsh puts into the line of a person is quoted', async (context) => {
  needs('zsh', context)
  const script = `zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "PS1=; autoload -Uz compinit; compinit -u -D; source ${folder}/keyturn.zsh; echo rea''dy"
zpty -r z seen '*ready*'
zpty -w -n z "keyturn status x"$'\\t\\n'
zpty -r z seen '*GOT*>*>*'
print -r -- "\${seen##*GOT}"`
  const { stdout } = spawnSync('zsh', ['-f', '-c', script], {
    env: environment(),
    cwd: folder,
    encoding: 'utf8',
    timeout: 20_000,
  })
  expect(stdout.trim()).toBe(`<status><x;touch ${trap()}>`)
  expect(existsSync(trap())).toBe(false)
})

describe('what a service has', () => {
  async function values(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const service = await fakeService()
    onTestFinished(() => service.close())
    const odd = ['--even-if-last', 'with\nbreak', 'turned\u202e', apiKey, '$(x)', '']
    service.answer('GET /v1/credentials', { items: ['openai', ...odd].map((name) => summaryOf(name)) })
    const io = fakeIo({ env: { KEYTURN_URL: service.url, KEYTURN_OPERATOR_TOKEN: operatorToken, ...env } })
    const code = await run(['completion', 'values', ...args], io)
    return { code, out: io.out(), err: io.err() }
  }

  it('is one a line, without what would be an option, a second line or a key', async () => {
    expect(await values(['credentials'])).toEqual({ code: 0, out: '$(x)\nopenai\n', err: '' })
  })

  it.each([
    ['versions openai', 'v-current-0001\n'],
    ['rotations openai', 'r\n'],
    ['approvals openai', 'apr_1\n'],
    ['instances openai', 'web-1\nweb-2\n'],
    ['tokens', 'tok_1\n'],
    ['token-names', 'billing\n'],
    ['versions', ''],
    ['versions opnai', ''],
    ['nonsense', ''],
  ])('%s', async (line, out) => {
    expect(await values(line.split(' '))).toEqual({ code: 0, out, err: '' })
  })

  it('is nothing, without a word, where it cannot be asked', async () => {
    for (const env of [
      { KEYTURN_URL: 'http://127.0.0.1:1' },
      { KEYTURN_URL: 'rubbish' },
      { KEYTURN_OPERATOR_TOKEN: 'two words' },
      { KEYTURN_OPERATOR_TOKEN: '' },
    ])
      expect(await values(['credentials'], env)).toEqual({ code: 0, out: '', err: '' })
  })

  it('is not waited for longer than a person waits', async () => {
    const io = fakeIo({ env: { KEYTURN_URL: 'http://127.0.0.1:1', KEYTURN_OPERATOR_TOKEN: operatorToken } })
    const waits: number[] = []
    const after = (ms: number, callback: () => void): (() => void) => {
      waits.push(ms)
      callback()
      return () => undefined
    }
    await run(['completion', 'values', 'credentials'], { ...io, after })
    expect(waits).toEqual([1_000])
    expect(io.exits).toEqual([0])
  })
})

it('a shell that is not known is told with those that are', async () => {
  const io = fakeIo()
  expect(await run(['completion', 'tcsh'], io)).toBe(2)
  expect(io.err()).toMatch(/Name one of: bash, zsh, fish\./)
})

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { parse } from 'yaml'
import { specs } from '../../src/cli/specs.ts'

interface Action {
  readonly inputs: Readonly<Record<string, { readonly description: string; readonly default: string }>>
  readonly outputs: Readonly<Record<string, { readonly value: string }>>
  readonly runs: {
    readonly using: string
    readonly steps: readonly {
      readonly id: string
      readonly shell: string
      readonly env: Readonly<Record<string, string>>
      readonly run: string
    }[]
  }
}

const action = parse(readFileSync(new URL('../../action.yml', import.meta.url), 'utf8')) as Action
const [step] = action.runs.steps

/** Runs the step as a runner does, with an npx that writes down what it was called with. */
function runStep(inputs: Readonly<Record<string, string>>, code = 0) {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'keyturn-action-')))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const temporary = realpathSync(mkdtempSync(join(tmpdir(), 'keyturn-runner-')))
  onTestFinished(() => rmSync(temporary, { recursive: true, force: true }))
  const stub =
    '#!/bin/sh\npwd -P > "$CALLED.from"\nprintf "%s\\n" "$@" > "$CALLED"\necho a-document\nexit "$CODE"\n'
  writeFileSync(join(folder, 'npx'), stub, { mode: 0o755 })
  const given = {
    ...Object.fromEntries(Object.entries(action.inputs).map(([name, one]) => [name, one.default])),
    ...inputs,
  }
  const env: Record<string, string> = {
    PATH: `${folder}:${process.env['PATH'] ?? ''}`,
    CALLED: join(folder, 'called'),
    CODE: String(code),
    GITHUB_OUTPUT: join(folder, 'output'),
    RUNNER_TEMP: temporary,
  }
  for (const [name, value] of Object.entries(step?.env ?? {}))
    env[name] = value.replace(
      /^\$\{\{ inputs\.(\w+) \}\}$/,
      (_, input: string) => given[input] ?? 'no such input',
    )
  const args = ['--noprofile', '--norc', '-eo', 'pipefail', '-c', step?.run ?? '']
  const { status, stdout } = spawnSync('bash', args, { cwd: folder, env, encoding: 'utf8' })
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8')
  const called = read('called').trimEnd().split('\n')
  return { status, stdout, called, folder, temporary, output: read('output'), read }
}

describe('action.yml', () => {
  it('is a composite action whose inputs reach the script as variables only', () => {
    expect(action.runs.using).toBe('composite')
    expect(Object.keys(action.inputs)).toEqual(['folder', 'config', 'strict', 'sarif', 'version'])
    expect(Object.values(step?.env ?? {})).toEqual(
      Object.keys(action.inputs).map((name) => `\${{ inputs.${name} }}`),
    )
    expect(step?.run).not.toContain('${{')
    expect(action.outputs['exit-code']?.value).toBe(`\${{ steps.${step?.id}.outputs.exit-code }}`)
  })

  it('runs the doctor for a pipeline', () => {
    const { status, called, folder, output, stdout } = runStep({})
    expect(called).toEqual(['--yes', 'keyturn@latest', 'doctor', '--ci', '--', `${folder}/.`])
    expect({ status, output, stdout }).toEqual({ status: 0, output: 'exit-code=0\n', stdout: 'a-document\n' })
  })

  it('passes on what is asked for, as one word each', () => {
    const { called, folder, read, stdout } = runStep({
      folder: 'a b; exit 9',
      config: '$(touch x)/k.yaml',
      strict: 'true',
      sarif: 'out put.sarif',
      version: '1.2.3',
    })
    expect(called).toEqual([
      '--yes',
      'keyturn@1.2.3',
      'doctor',
      '--ci',
      `--config=${folder}/$(touch x)/k.yaml`,
      '--strict',
      '--sarif',
      '--',
      `${folder}/a b; exit 9`,
    ])
    expect([read('out put.sarif'), stdout]).toEqual(['a-document\n', ''])
  })

  it('starts npx outside of the project, whose .npmrc could name other code', () => {
    const { read, temporary } = runStep({ folder: '/elsewhere', config: 'D:\\a\\keyturn.yaml' })
    expect(dirname(read('called.from').trim())).toBe(temporary)
    expect(read('called')).toMatch(/^--config=D:\\a\\keyturn\.yaml$/m)
    expect(read('called')).toMatch(/^\/elsewhere$/m)
  })

  it('ends with the exit code of the doctor, and tells it to the steps after it', () => {
    for (const sarif of ['', 'x.sarif']) {
      const { status, output } = runStep({ sarif }, 3)
      expect({ status, output }).toEqual({ status: 3, output: 'exit-code=3\n' })
    }
  })

  it('uses no option that the doctor does not have', () => {
    const options = specs
      .find(({ name }) => name === 'doctor')
      ?.options.map(({ flags }) => flags.split(' ')[0])
    for (const [option] of step?.run.matchAll(/--[a-z]+\b(?<!--yes)/g) ?? [])
      expect(options).toContain(option)
  })
})

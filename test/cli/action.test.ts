import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-action-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const stub = '#!/bin/sh\nprintf "%s\\n" "$@" > "$CALLED"\necho a-document\nexit "$CODE"\n'
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
  }
  for (const [name, value] of Object.entries(step?.env ?? {}))
    env[name] = value.replace(
      /^\$\{\{ inputs\.(\w+) \}\}$/,
      (_, input: string) => given[input] ?? 'no such input',
    )
  const args = ['--noprofile', '--norc', '-eo', 'pipefail', '-c', step?.run ?? '']
  const { status, stdout } = spawnSync('bash', args, { cwd: folder, env, encoding: 'utf8' })
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8')
  return { status, stdout, called: read('called').trimEnd().split('\n'), output: read('output'), read }
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
    const { status, called, output, stdout } = runStep({})
    expect(called).toEqual(['--yes', 'keyturn@latest', 'doctor', '--ci', '--', '.'])
    expect({ status, output, stdout }).toEqual({ status: 0, output: 'exit-code=0\n', stdout: 'a-document\n' })
  })

  it('passes on what is asked for, as one word each', () => {
    const { called, read, stdout } = runStep({
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
      '--config=$(touch x)/k.yaml',
      '--strict',
      '--sarif',
      '--',
      'a b; exit 9',
    ])
    expect([read('out put.sarif'), stdout]).toEqual(['a-document\n', ''])
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

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { projects } from './manifest.ts'
import { plant } from './plant.ts'

let root: string
let files: readonly string[]

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'planted-'))
  for (const { name } of projects()) await plant(name, join(root, name))
  files = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.includes('/.git/'))
})
afterAll(() => rmSync(root, { recursive: true }))

function named(pattern: RegExp): readonly string[] {
  const found = files.filter((path) => pattern.test(path))
  expect(found.length).toBeGreaterThan(0)
  return found
}

function answerOf(command: string, args: readonly string[]) {
  // A locale that the machine does not have is something that bash warns of.
  const env = { ...process.env, LC_ALL: 'C' }
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8', env })
  return { status, problem: error?.message ?? stderr }
}

const isThere = (command: string, ...args: string[]) => spawnSync(command, args).status === 0

it('every JSON file and notebook parses, comments aside', () => {
  for (const path of named(/\.(?:json|ipynb)$/))
    JSON.parse(readFileSync(path, 'utf8').replaceAll(/^\s*\/\/.*$/gm, ''))
})

it('every YAML file parses', () => {
  for (const path of named(/\.ya?ml$/))
    for (const document of parseAllDocuments(readFileSync(path, 'utf8')))
      expect([path, document.errors]).toEqual([path, []])
})

it('every JavaScript file is right to Node', () => {
  for (const path of named(/\.js$/))
    expect([path, answerOf(process.execPath, ['--check', path])]).toEqual([path, { status: 0, problem: '' }])
})

it('every TypeScript file is right to Node', () => {
  for (const path of named(/\.ts$/)) expect(stripTypeScriptTypes(readFileSync(path, 'utf8'))).not.toBe('')
})

const reader = `
import ast, sys, tomllib
for path in sys.argv[1:]:
    text = open(path, encoding="utf-8").read()
    tomllib.loads(text) if path.endswith(".toml") else ast.parse(text, path)
`

it.skipIf(!isThere('python3', '-c', 'import tomllib'))(
  'every Python and TOML file is right to Python',
  () => {
    expect(answerOf('python3', ['-c', reader, ...named(/\.(?:py|toml)$/)])).toEqual({
      status: 0,
      problem: '',
    })
  },
)

it.skipIf(!isThere('bash', '--version'))('every script is right to bash', () => {
  for (const path of named(/\.sh$/))
    expect([path, answerOf('bash', ['-n', path])]).toEqual([path, { status: 0, problem: '' }])
})

it.skipIf(!isThere('gofmt', '-h'))('every Go file is right to gofmt', () => {
  expect(answerOf('gofmt', ['-l', ...named(/\.go$/)])).toEqual({ status: 0, problem: '' })
})

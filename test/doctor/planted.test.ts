import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { sarifOf } from '../../src/doctor/sarif.ts'
import { createSystem } from '../../src/system.ts'
import { projects } from '../examples/manifest.ts'
import { judge } from './judge.ts'
import { sarifProblems } from './sarif-schema.ts'

const names = (group: string): readonly string[] =>
  projects()
    .filter((project) => project.group === group)
    .map(({ name }) => name)

describe('in a project that is broken on purpose the doctor names every cause and nothing else', () => {
  it.each(names('broken'))('%s', async (name) => {
    const { missed, invented, findings, report } = await judge(name)
    expect({ missed, invented }).toEqual({ missed: [], invented: [] })
    expect(findings.flatMap(({ fix }) => fix.split('\n')).filter(cannotBeTyped)).toEqual([])
    const sarif = sarifOf(report, { hash: createSystem(), explain: () => undefined })
    expect(sarifProblems(sarif)).toEqual([])
  })
})

/** A line that begins like a command is pasted as a whole. A comma after a word, or a bracket, would be one of its arguments. */
function cannotBeTyped(line: string): boolean {
  const isCommand =
    /^(?:export|unset|read|sed|cp|gh|git|kubectl|keyturn|npm|pip|curl|node|set|docker|sudo) /.test(line)
  if (!isCommand || /<[a-z ]+>/.test(line)) return false
  return (
    /\w(?:, | \()|\.$/.test(line.replaceAll(/'[^']*'|"[^"]*"|#.*$/g, "''")) ||
    spawnSync('bash', ['-n', '-c', line]).status !== 0
  )
}

describe('in a healthy project it is silent', () => {
  it.each(names('healthy'))('%s', async (name) => {
    const { findings } = await judge(name)
    expect(findings).toEqual([])
  })

  /** These name in their source where their calls go, so that no sandbox can stand in for it. */
  const elsewhere = ['go-systemd', 'kubernetes-secrets', 'monorepo-next-and-worker']
  it.each(names('healthy').filter((name) => !elsewhere.includes(name)))('%s, with its key', async (name) => {
    const { findings } = await judge(name, true)
    expect(findings).toEqual([])
  })
})

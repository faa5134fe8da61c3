import { describe, expect, it } from 'vitest'
import { projects } from '../examples/manifest.ts'
import { judge } from './judge.ts'

const names = (group: string): readonly string[] =>
  projects()
    .filter((project) => project.group === group)
    .map(({ name }) => name)

describe('in a project that is broken on purpose the doctor names every cause and nothing else', () => {
  it.each(names('broken'))('%s', async (name) => {
    const { missed, invented } = await judge(name)
    expect({ missed, invented }).toEqual({ missed: [], invented: [] })
  })
})

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

import { describe, expect, it } from 'vitest'
import { hereOf } from '../../../src/doctor/launch/commands-here.ts'
import { projectOf } from '../context.ts'

const files = {
  ...projectOf({ 'package.json': '{"name":"@team/agent"}' }),
  folder: '/repository/packages/agent',
}
const here = (command: string, folder?: string) =>
  hereOf(files, { path: '../../.github/workflows/nightly.yml', command, folder })

describe('a command of a workflow at the top of the repository', () => {
  it.each([
    ['npm run nightly --workspace packages/agent', 'npm run nightly'],
    ['npm run nightly --workspace=@team/agent', 'npm run nightly'],
    ['pnpm --filter @team/agent start', 'pnpm start'],
    ['npm --prefix ./packages/agent test', 'npm test'],
    ['cd packages/agent && node main.js', 'node main.js'],
    ['node packages/agent/src/index.js', 'node src/index.js'],
  ])('%s is %s in the folder', (command, expected) => {
    expect(here(command)).toBe(expected)
  })

  it.each(['npm test', 'npm run start --workspace packages/agents', 'node packages/agent2/main.js'])(
    '%s is about other folders',
    (command) => {
      expect(here(command)).toBeUndefined()
    },
  )

  it('counts as it is where the step is told to run there', () => {
    expect(here('npm test', './packages/agent')).toBe('npm test')
    expect(here('npm test', 'packages/web')).toBeUndefined()
  })

  it('counts as it is in a workflow of the folder itself', () => {
    const step = { path: '.github/workflows/ci.yml', command: 'npm test', folder: undefined }
    expect(hereOf(files, step)).toBe('npm test')
  })
})

import { expect, it } from 'vitest'
import { commandsOf } from './typed-commands.ts'

it('from .env to AWS takes fewer than ten commands, each on one line', () => {
  const commands = commandsOf('docs/tasks/from-env-to-aws.md')
  expect(commands.length).toBeGreaterThan(5)
  expect(commands.length).toBeLessThan(10)
  for (const command of commands) expect(command).toMatch(/^(?:npm install |npx keyturn |read -rs |[A-Z_]+=)/)
})

import { randomUUID } from 'node:crypto'
import { Secret } from '../../../src/core/secret.ts'
import { openStore } from '../../../src/stores/index.ts'
import { testContext } from './system.ts'

/**
 * Turns one secret as fast as it can until it is killed, or the given number of times. After each acknowledged step it
 * prints the step and the version, and which current one a promotion was to leave, so that the test knows what must not be lost. Run as a process of its own.
 */
const [home = '', rounds = '1000000'] = process.argv.slice(2)
const store = await openStore({ kind: 'local' }, testContext(home))
for (let round = 0; round < Number(rounds); round += 1) {
  const version = randomUUID()
  const value = `value-of-${version}`
  await store.stage('openai', { version, secret: new Secret(value), meta: {}, fence: 1 })
  process.stdout.write(`staged ${version}\n`)
  const expectCurrent = (await store.describe('openai'))?.current
  const { kind } = await store.promote('openai', { to: version, expectCurrent, fence: 1 })
  process.stdout.write(`${kind} ${version}\nleft ${kind} ${expectCurrent}\n`)
  const previous = (await store.describe('openai'))?.previous
  if (round % 3 !== 2 || previous === undefined) continue
  await store.retire('openai', { version: previous, fence: 1 }).catch(() => undefined)
}
await store.close()

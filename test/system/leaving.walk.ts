import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { expect, it, onTestFinished } from 'vitest'
import { runCli } from './cli.ts'
import { aliveKeys } from './harness.ts'
import { type Keyed, keyedService, untilNoLease } from './keyed.ts'

const entry = new URL('../../src/index.ts', import.meta.url).href

function script(keyed: Keyed, code: string) {
  const args = ['--input-type=module', '--eval', code.replace('keyturn', entry)]
  const env = { ...keyed.env(), NODE_NO_WARNINGS: '1' }
  const child = spawn(process.execPath, args, { cwd: keyed.folder, env, stdio: ['pipe', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

it.each([
  ['ends by itself', "import { getOpenAIKey } from 'keyturn'; await getOpenAIKey()"],
  [
    'ends by itself after it was followed for a while, with a body that nobody read',
    `import { openAIOptions } from 'keyturn'
    const { apiKey, baseURL, fetch } = await openAIOptions()
    await fetch(baseURL + '/models', { headers: { authorization: 'Bearer ' + await apiKey() } })
    setTimeout(() => undefined, 400)`,
  ],
  [
    'is ended after it said so',
    `import { endDefaultClients, getOpenAIKey } from 'keyturn'
    await getOpenAIKey()
    await endDefaultClients()
    process.exit()`,
  ],
])('a script that %s holds no key: the next rotation waits for nobody', async (_what, code) => {
  const keyed = await keyedService()
  expect(await once(script(keyed, code), 'close')).toEqual([0, null])
  await untilNoLease(keyed)
  expect(await runCli(keyed.rig, ['rotate', 'openai', '--wait'])).toMatchObject({ code: 0 })
  expect(aliveKeys(keyed.sandbox)).toHaveLength(1)
})

it('a service that hangs keeps a script for a moment only, and changes nothing of how it ends', async () => {
  const keyed = await keyedService()
  const child = script(
    keyed,
    `import { getOpenAIKey } from 'keyturn'
    await getOpenAIKey()
    process.exitCode = 3
    process.stdin.once('data', () => process.stdin.destroy())
    process.stdin.resume()
    process.stdout.write('up')`,
  )
  await once(child.stdout, 'data')
  process.kill(keyed.service().pid, 'SIGSTOP')
  onTestFinished(() => void process.kill(keyed.service().pid, 'SIGCONT'))
  child.stdin.write('go')
  expect(await Promise.all([once(child, 'close'), text(child.stdout)])).toEqual([[3, null], ''])
})

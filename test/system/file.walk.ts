import { chmodSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { expect, it } from 'vitest'
import { runCli } from './cli.ts'
import { aliveKeys, call, handOut, rotate, until, untilPromoted, untilTurned } from './harness.ts'
import { allArguments, filesOf, type Keyed, keyedService, startCli } from './keyed.ts'

const before =
  '# settings\r\nexport A="1"\r\nOPENAI_API_KEY="to be replaced" # turned\r\nB=\'two\nlines\'\n\n  C = 3'

const keyIn = (path: string) => /OPENAI_API_KEY="([^"]*)"/.exec(readFileSync(path, 'utf8'))?.[1]
const currentKey = async ({ rig }: Keyed) => (await handOut(rig)).body.apiKey

it('a .env survives rotations, a crash of the service and of its keeper; the old key lives until the hook has succeeded', async () => {
  const keyed = await keyedService()
  const { rig, sandbox, canaries, folder } = keyed
  const path = join(folder, '.env')
  writeFileSync(path, before, { mode: 0o644 })
  // Fails until it is let, and shows all that it was given.
  const permit = join(folder, 'permit')
  const hook = `env; test -e '${permit}' || exit 3`
  const args = ['file', '--out', path, '--format', 'env', '--hook', hook, '--remove-on-exit']
  const start = () =>
    startCli(args, { env: { ...keyed.env(), OPENAI_API_KEY: 'one of before' }, cwd: folder })

  const run = start()
  await run.seen('others can read')
  await run.seen('the hook ended with 3')
  writeFileSync(permit, '')
  await run.seen('the hook has succeeded')
  expect(keyIn(path)).toBe(await currentKey(keyed))
  expect(statSync(path).mode & 0o777).toBe(0o600)

  rmSync(permit)
  const failures = run.lines.filter((line) => line.includes('the hook ended with 3')).length
  const first = await rotate(rig)
  await untilPromoted(rig, first.id)
  await until(
    'the next key is there',
    async () => keyIn(path) === (await currentKey(keyed)),
    (isThere) => isThere,
  )
  await until(
    'its hook has failed, and is run again until it has not',
    () => run.lines.filter((line) => line.includes('the hook ended with 3')).length,
    (count) => count > failures,
  )
  expect(aliveKeys(sandbox)).toHaveLength(2)
  writeFileSync(permit, '')
  await untilTurned(rig, first.id)
  await until(
    'the hook has succeeded for the second key too',
    () => run.lines.filter((line) => line.includes('the hook has succeeded')).length,
    (count) => count === 2,
  )

  await keyed.crash()
  await run.seen('stays as it is')
  await keyed.restart()
  const second = await rotate(rig)
  await untilTurned(rig, second.id)
  expect(keyIn(path)).toBe(await currentKey(keyed))

  // Killed between a write and its rename, as far as a file beside it goes.
  const other = readFileSync(path, 'utf8')
  process.kill(run.pid, 'SIGKILL')
  await run.ended
  writeFileSync(join(folder, `..env.keyturn-${run.pid}-x.tmp`), other, { mode: 0o600 })
  const again = start()
  await again.seen('removed 1 file(s)')
  await again.seen(' has the key ')
  const shown = new Map([['arguments of all processes', allArguments()]])
  again.send('SIGTERM')
  expect(await again.ended).toBe(0)

  shown.set('output', [...run.lines, ...again.lines].join('\n'))
  for (const [name, text] of filesOf(folder, /^$/)) shown.set(name, text)
  expect(canaries.search(shown)).toEqual([])
  expect(shown.get('output')).not.toContain('one of before')
  expect(shown.get('output')).not.toContain('KEYTURN_TOKEN')
  const left = readFileSync(path, 'utf8')
  expect(left.startsWith('# settings\r\nexport A="1"\r\nB=\'two\nlines\'\n\n  C = 3')).toBe(true)
  expect(readdirSync(folder).filter((name) => name.includes('.keyturn'))).toEqual([])
})

it('a file that is written once stands for whoever reads it, and lets go of the old key when it is written anew', async () => {
  const keyed = await keyedService()
  const { rig, folder } = keyed
  const once = (path: string) =>
    runCli(rig, ['file', '--once', '--out', path], { env: keyed.env(), cwd: folder })
  const leases = async () => {
    const { body } = await call<{ items: { instance: string; generation: number }[] }>(
      rig,
      '/v1/credentials/openai/leases',
    )
    return body.items
  }
  expect((await once('key')).code).toBe(0)
  const [before] = await leases()
  expect(before?.instance).toMatch(/^file-/)
  const turned = await rotate(rig)
  await untilPromoted(rig, turned.id)
  expect(await leases()).toEqual([before])
  // The next run, however it names the file, is the same user of keys.
  expect((await once(join(folder, '..', basename(folder), 'key'))).code).toBe(0)
  expect(await leases()).toMatchObject([
    { instance: before?.instance, generation: (before?.generation ?? 0) + 1 },
  ])
  await untilTurned(rig, turned.id)
  expect((await once('another')).code).toBe(0)
  expect(await leases()).toHaveLength(2)
})

it('a reader never sees anything but a whole key that was handed out', async () => {
  const keyed = await keyedService()
  const path = join(keyed.folder, 'key')
  const run = startCli(['file', '--out', path, '--json'], { env: keyed.env(), cwd: keyed.folder })
  await run.seen('"event":"written"')
  const known = new Set([await currentKey(keyed)])
  const read = new Set<string>()
  let isReading = true
  const reader = (async () => {
    while (isReading) {
      read.add(readFileSync(path, 'utf8'))
      await new Promise((resolve) => void setImmediate(resolve))
    }
  })()
  for (let round = 0; round < 3; round += 1) {
    const { id } = await rotate(keyed.rig)
    await untilTurned(keyed.rig, id)
    known.add(await currentKey(keyed))
  }
  isReading = false
  await reader
  expect(read).toEqual(known)
  run.send('SIGTERM')
  expect(await run.ended).toBe(0)
  expect(readFileSync(path, 'utf8')).toBe(await currentKey(keyed))
})

it('many writers of one .env leave it whole, and who writes again puts its own there and loses nobody else’s', async () => {
  const keyed = await keyedService()
  const path = join(keyed.folder, '.env')
  const names = ['KEY_A', 'KEY_B', 'KEY_C', 'KEY_D']
  const write = async (name: string): Promise<string> => {
    const args = ['file', '--out', path, '--format', 'env', '--variable', name, '--once']
    const { code, err } = await runCli(keyed.rig, args, { env: keyed.env(), cwd: keyed.folder })
    return code === 0 ? '' : err
  }
  const timesOf = (): readonly number[] => {
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
    const whole = /^(?:KEY_[ABCD]=sk-[\w-]+|OPENAI_(?:ORG_ID|PROJECT_ID|BASE_URL)=\S+)$/
    expect(lines.filter((line) => !whole.test(line)).length).toBe(0)
    return names.map((name) => lines.filter((line) => line.startsWith(`${name}=`)).length)
  }
  expect(await Promise.all(names.map(write))).toEqual(['', '', '', ''])
  // No system compares and renames in one step: of two that do both in the same microseconds one loses (docs/file.md).
  const written = timesOf()
  expect(written.filter((times) => times > 1)).toEqual([])
  expect(written).toContain(1)
  for (const name of names) expect(await write(name)).toBe('')
  expect(timesOf()).toEqual([1, 1, 1, 1])
  expect(readdirSync(keyed.folder).filter((name) => name.endsWith('.tmp'))).toEqual([])
})

it('--once says by its exit code what came of it, and the file of before stays', async () => {
  const keyed = await keyedService()
  const path = join(keyed.folder, 'key')
  const once = async (...more: string[]) => {
    const args = ['file', '--out', path, '--once', ...more]
    const { code, err } = await runCli(keyed.rig, args, { env: keyed.env(), cwd: keyed.folder })
    return [code, err.split('\n')[0]]
  }
  expect(await once()).toEqual([0, ''])
  const key = readFileSync(path, 'utf8')
  expect(await once('--hook', 'exit 4')).toEqual([0, ''])
  expect(await once('--mode', '0640', '--hook', 'exit 4')).toEqual([
    1,
    expect.stringContaining('ended with 4'),
  ])
  expect(await once('--mode', '0640')).toEqual([0, ''])
  expect(await once('--mode', '0777')).toEqual([2, expect.stringContaining('--mode')])
  expect(await once('--credential', 'other')).toEqual([1, expect.stringContaining('other')])
  chmodSync(keyed.folder, 0o777)
  expect(await once()).toEqual([1, expect.stringContaining('everybody may write')])
  chmodSync(keyed.folder, 0o700)
  await keyed.crash()
  expect(await once('--mode', '0640')).toEqual([1, expect.stringContaining('cannot be reached')])
  expect(readFileSync(path, 'utf8')).toBe(key)
})

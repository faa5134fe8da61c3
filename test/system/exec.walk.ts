import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { runCli } from './cli.ts'
import { aliveKeys, rotate, until, untilPromoted, untilTurned } from './harness.ts'
import {
  allArguments,
  filesOf,
  type Keyed,
  keyedService,
  leasesOf,
  type Started,
  startCli,
  stateOf,
  untilNoLease,
} from './keyed.ts'

/** Says when it begins and ends, and takes its time for the latter; which key it has it tells by a hash. */
const program = `
const hash = () => require('node:crypto').createHash('sha256').update(process.env.OPENAI_API_KEY).digest('hex').slice(0, 8)
const count = {}
for (const name of ['SIGHUP', 'SIGUSR2', 'SIGINT'])
  process.on(name, () => console.log('got', name, count[name] = (count[name] ?? 0) + 1))
process.on('SIGTERM', () => {
  console.log('ending', process.pid)
  setTimeout(() => { console.log('down', process.pid); process.exit(5) }, 1500)
})
console.log('up', process.pid, hash(), ['KEYTURN_TOKEN', 'OPENAI_ADMIN_KEY'].filter((name) => name in process.env).join() || 'clean')
setInterval(() => undefined, 1000)
`

function start(
  keyed: Keyed,
  options: readonly string[] = [],
  onLine: (line: string) => void = () => undefined,
): Started {
  const path = join(keyed.folder, 'program.cjs')
  writeFileSync(path, program)
  const env = { ...keyed.env(), OPENAI_ADMIN_KEY: 'an admin key' }
  return startCli(['exec', ...options, '--', process.execPath, path], { env, cwd: keyed.folder, onLine })
}

const ups = ({ lines }: Started) => lines.filter((line) => line.startsWith('up '))
const pidOf = (line: string | undefined) => Number(line?.split(' ')[1])
const untilUps = (run: Started, count: number) =>
  until(
    `the program runs for the ${count}. time`,
    () => ups(run),
    (all) => all.length >= count,
  )

it('a program survives rotations and a crash of the service; no key dies before the program that has it is gone', async () => {
  const keyed = await keyedService()
  const { rig, sandbox, canaries } = keyed
  /** Keys that live at the moment in which a program says that it ends: a moment later they may be fewer. */
  const aliveAtEnd: number[] = []
  const run = start(keyed, [], (line) => {
    if (line.startsWith('down ')) aliveAtEnd.push(aliveKeys(sandbox).length)
  })
  expect(await run.seen(/^up /)).toMatch(/ clean$/)
  const firstPid = pidOf(ups(run)[0])

  const first = await rotate(rig)
  await run.seen('ending')
  await untilPromoted(rig, first.id)
  await run.seen(`down ${firstPid}`)
  // Overlap and quiet time were over long before: it is the program that the old key waited for.
  expect(aliveAtEnd).toEqual([2])
  const [, second = ''] = await untilUps(run, 2)
  expect(second.split(' ')[2]).not.toBe(ups(run)[0]?.split(' ')[2])
  await untilTurned(rig, first.id)
  expect(aliveKeys(sandbox)).toHaveLength(1)

  await keyed.crash()
  await run.seen('the program goes on with the key it has')
  expect(stateOf(pidOf(second))).toMatch(/[SRD]/)
  await keyed.restart()
  expect(ups(run)).toHaveLength(2)
  const again = await rotate(rig)
  await untilUps(run, 3)
  await untilTurned(rig, again.id)

  const shown = new Map([['arguments of all processes', allArguments()]])
  run.send('SIGTERM')
  expect(await run.ended).toBe(5)
  expect(stateOf(pidOf(ups(run)[2]))).toBeUndefined()
  shown.set('output', run.lines.join('\n'))
  for (const [path, text] of filesOf(keyed.folder, /^$/)) shown.set(path, text)
  for (const [path, text] of filesOf(rig.home, /^(?:operator\.token|app\.token)$/)) shown.set(path, text)
  expect(canaries.count).toBeGreaterThan(2)
  expect(canaries.search(shown)).toEqual([])
})

it('what a program started, and what ignores SIGTERM, is gone before the next one begins', async () => {
  const keyed = await keyedService()
  const script = join(keyed.folder, 'stubborn.sh')
  writeFileSync(script, "trap '' TERM\nsleep 1000 &\necho up $$ child $!\nwait\n")
  const env = keyed.env()
  const run = startCli(['exec', '--grace', '700ms', '--', 'sh', script], { env, cwd: keyed.folder })
  const before = await run.seen(/^up /)
  await rotate(keyed.rig)
  await run.seen('SIGKILL')
  await untilUps(run, 2)
  const [pid, child] = before.split(' child ').map((part) => Number(part.replace('up ', '')))
  expect([stateOf(pid ?? 0), stateOf(child ?? 0)]).toEqual([undefined, undefined])
  run.send('SIGTERM')
  const last = Number(ups(run)[1]?.split(' child ')[1])
  // It does not listen, so nobody but the kernel can end it.
  process.kill(-pidOf(ups(run)[1]), 'SIGKILL')
  expect(await run.ended).toBe(137)
  await until(
    'its child is gone',
    () => stateOf(last),
    (state) => state === undefined,
  )
})

it('signals pass through, stop and go on included; where it is only told, it keeps running', async () => {
  const keyed = await keyedService()
  const run = start(keyed, ['--on-rotation', 'signal', '--signal', 'SIGUSR2', '--grace', '300ms'])
  const pid = pidOf(await run.seen(/^up /))
  run.send('SIGHUP')
  await run.seen('got SIGHUP 1')
  run.send('SIGTSTP')
  await until(
    'both are stopped',
    () => [stateOf(run.pid), stateOf(pid)].join(''),
    (states) => states === 'TT',
  )
  run.send('SIGCONT')
  await until(
    'both go on',
    () => [stateOf(run.pid), stateOf(pid)].join(''),
    (states) => !states.includes('T'),
  )
  const turned = await rotate(keyed.rig)
  await run.seen('got SIGUSR2 1')
  await untilTurned(keyed.rig, turned.id)
  expect(ups(run)).toHaveLength(1)
  run.send('SIGTERM')
  expect(await run.ended).toBe(5)
})

it('where nothing is done the old key lives until the program ends', async () => {
  const keyed = await keyedService()
  const run = start(keyed, ['--on-rotation', 'none'])
  await run.seen(/^up /)
  const turned = await rotate(keyed.rig)
  await untilPromoted(keyed.rig, turned.id)
  await run.seen('goes on with the old one')
  await until(
    'the retirement is held by the program',
    () => runCli(keyed.rig, ['leases', 'openai']),
    ({ out }) => /exec-/.test(out),
  )
  run.send('SIGTERM')
  expect(aliveKeys(keyed.sandbox)).toHaveLength(2)
  expect(await run.ended).toBe(5)
  await untilTurned(keyed.rig, turned.id)
})

it('a program that has ended holds no key: the next rotation waits for nobody', async () => {
  const keyed = await keyedService()
  const { rig } = keyed
  const exec = (...args: string[]) => runCli(rig, ['exec', ...args], { env: keyed.env(), cwd: keyed.folder })
  expect((await exec('--', 'true')).code).toBe(0)
  expect((await exec('--', 'sleep', '0.4')).code).toBe(0)
  await untilNoLease(keyed)
  expect(await runCli(rig, ['rotate', 'openai', '--wait'])).toMatchObject({ code: 0 })
  expect(aliveKeys(keyed.sandbox)).toHaveLength(1)

  // One that leaves something running is not waited for, and what it left may still use the key.
  const left = await exec('--', 'sh', '-c', 'sleep 30 >/dev/null 2>&1 & echo up $!')
  const pid = pidOf(left.out)
  onTestFinished(() => void process.kill(pid, 'SIGKILL'))
  expect(stateOf(pid)).toMatch(/[SRD]/)
  expect(await leasesOf(keyed)).toEqual([expect.stringMatching(/^exec-/)])
  // A name that was given may be another run's as well.
  expect((await exec('--instance', 'nightly', '--', 'true')).code).toBe(0)
  expect(await leasesOf(keyed)).toContain('nightly')
})

it('a service that hangs or is gone at the end changes neither the exit code nor the time that it takes', async () => {
  const keyed = await keyedService()
  const [hung, gone] = [start(keyed), start(keyed)]
  for (const run of [hung, gone]) await run.seen(/^up /)
  process.kill(keyed.service().pid, 'SIGSTOP')
  const endedIn = async (run: Started) => {
    run.send('SIGTERM')
    await run.seen('down')
    const downAt = performance.now()
    expect(await run.ended).toBe(5)
    return performance.now() - downAt
  }
  expect(await endedIn(hung)).toBeLessThan(8_000)
  await keyed.crash()
  expect(await endedIn(gone)).toBeLessThan(8_000)
})

describe('exit codes', () => {
  it('are those of the program, and say what could not be run', async () => {
    const keyed = await keyedService()
    writeFileSync(join(keyed.folder, 'plain'), 'no program', { mode: 0o644 })
    const exec = async (...args: string[]) => {
      const { code, err } = await runCli(keyed.rig, ['exec', ...args], {
        env: keyed.env(),
        cwd: keyed.folder,
      })
      return [code, err.split('\n')[0]]
    }
    expect(await exec('--', 'sh', '-c', 'exit 42')).toEqual([42, ''])
    expect(await exec('--', 'sh', '-c', 'kill -9 $$')).toEqual([137, ''])
    expect(await exec('--', './absent')).toEqual([
      127,
      expect.stringContaining('there is no program ./absent'),
    ])
    expect(await exec('--', './plain')).toEqual([126, expect.stringContaining('cannot be run')])
    expect(await exec('--in-process', '--', 'true')).toEqual([
      1,
      expect.stringContaining('KEYTURN_URL is not set'),
    ])
    expect(await exec('--credential', 'other', '--', 'true')).toEqual([1, expect.stringContaining('other')])
    await keyed.crash()
    expect(await exec('--', 'true')).toEqual([1, expect.stringContaining('cannot be reached')])
  })
})

it('on a terminal the program has it, and Ctrl-C reaches it once', async ({ skip }) => {
  if (spawnSync('python3', ['-c', 'import pty']).status !== 0)
    skip('python3 is not installed on this machine')
  const keyed = await keyedService()
  const path = join(keyed.folder, 'on-terminal.cjs')
  writeFileSync(
    path,
    `const tty = require('node:tty')
let count = 0
process.on('SIGINT', () => { count += 1; setTimeout(() => { console.log('interrupted', count); process.exit(9) }, 500) })
console.log('terminal', tty.isatty(0), tty.isatty(1))
setInterval(() => undefined, 1000)
`,
  )
  const cli = fileURLToPath(new URL('run-cli.ts', import.meta.url))
  const typing = `
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
text = b''
typed = False
while True:
    try:
        piece = os.read(terminal, 1024)
    except OSError:
        break
    if not piece:
        break
    text += piece
    if not typed and b'terminal' in text:
        typed = True
        os.write(terminal, b'\\x03')
print(text.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`
  const words = ['-c', typing, process.execPath, cli, 'exec', '--', process.execPath, path]
  const env = { ...keyed.env(), NODE_NO_WARNINGS: '1', NO_COLOR: '1', TERM: 'xterm' }
  const { stdout } = spawnSync('python3', words, { env, encoding: 'utf8', timeout: 90_000 })
  expect(stdout).toContain('terminal true true')
  expect(stdout).toMatch(/interrupted 1\s+9\s*$/)
})

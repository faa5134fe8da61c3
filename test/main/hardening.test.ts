import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { hardenProcess, type ProcessParts } from '../../src/main/hardening.ts'
import { processParts } from '../../src/main/process-parts.ts'

const on = 'Max core file size        unlimited            unlimited            bytes\n'
const off = 'Max core file size        0                    0                    bytes\n'

async function harden(own: Partial<ProcessParts>) {
  const logs: string[] = []
  const ran: string[] = []
  const signals: string[] = []
  const report: { excludeEnv?: boolean } = {}
  await hardenProcess(
    {
      platform: 'linux',
      pid: 4_711,
      inspectorUrl: () => undefined,
      on: (signal) => void signals.push(signal),
      flags: [],
      report,
      limits: () => off,
      run: async (program, args) => ran.push([program, ...args].join(' ')) > 0,
      ...own,
    },
    (level, message, fields) => logs.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`),
  )
  return { logs, ran, signals, report }
}

describe('the process', () => {
  it('does not start while a debugger listens', async () => {
    await expect(harden({ inspectorUrl: () => 'ws://127.0.0.1:9229/x' })).rejects.toMatchObject({
      code: 'config_invalid',
      fix: expect.stringContaining('NODE_OPTIONS'),
    })
  })

  it.each(['--heapsnapshot-signal=SIGUSR2', '--heapsnapshot-near-heap-limit=3', '--heap-prof'])(
    'does not start where Node is told to write its memory to files: %s',
    async (flag) => {
      await expect(harden({ flags: ['--enable-source-maps', flag] })).rejects.toMatchObject({
        code: 'config_invalid',
        fix: expect.stringContaining(flag.split('=')[0] ?? flag),
      })
    },
  )

  it('takes the signal that would start one, and the environment out of diagnostic reports', async () => {
    const { signals, report } = await harden({})
    expect([signals, report.excludeEnv]).toEqual([['SIGUSR1'], true])
  })

  it('asks for nothing where core dumps are off already, or the system does not say', async () => {
    for (const limits of [() => off, () => undefined])
      expect(await harden({ limits })).toMatchObject({ ran: [], logs: [] })
  })

  it('turns core dumps off', async () => {
    let limits = on
    const run = async (program: string, args: readonly string[]) => {
      limits = off
      return program === 'prlimit' && args.join(' ') === '--pid=4711 --core=0:0'
    }
    expect((await harden({ limits: () => limits, run })).logs).toEqual([])
  })

  it.each([true, false])(
    'says what to set from outside where that does not help (prlimit ran: %s)',
    async (ran) => {
      const { logs } = await harden({ limits: () => on, run: async () => ran })
      expect(logs).toEqual([expect.stringMatching(/^warn .*core dump.*LimitCORE=0/)])
    },
  )
})

describe('a real process', () => {
  it('gives its children nothing of its environment', async () => {
    const child = spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `
        import { processParts } from ${JSON.stringify(new URL('../../src/main/process-parts.ts', import.meta.url).href)}
        const isHidden = await processParts({}).run('sh', ['-c', '[ -z "$MARKER" ]'])
        process.exitCode = isHidden && process.env.MARKER === 'here' ? 0 : 1
      `,
      ],
      { env: { PATH: process.env['PATH'] ?? '', MARKER: 'here', NODE_NO_WARNINGS: '1' }, stdio: 'ignore' },
    )
    expect((await once(child, 'exit'))[0]).toBe(0)
  })

  it('lives on, without a debugger, when it gets the signal that starts one', async () => {
    const child = spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `
        import inspector from 'node:inspector'
        import { hardenProcess } from ${JSON.stringify(new URL('../../src/main/hardening.ts', import.meta.url).href)}
        import { processParts } from ${JSON.stringify(new URL('../../src/main/process-parts.ts', import.meta.url).href)}
        let told = () => {}
        const ignored = new Promise((resolve) => { told = resolve })
        await hardenProcess(processParts({}), (level, message) => { if (message.startsWith('SIGUSR1')) told() })
        const alive = setInterval(() => {}, 1000)
        process.kill(process.pid, 'SIGUSR1')
        await ignored
        clearInterval(alive)
        process.exitCode = inspector.url() === undefined && process.report.excludeEnv ? 0 : 1
      `,
      ],
      {
        env: { PATH: process.env['PATH'] ?? '', NODE_NO_WARNINGS: '1' },
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    )
    let said = ''
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
    expect((await once(child, 'close'))[0]).toBe(0)
    expect(said).not.toContain('Debugger listening')
  })

  it('has no core dumps any more where the system has prlimit', async () => {
    const parts = processParts({})
    const isSettable = await parts.run('prlimit', ['--version'])
    const child = spawn(
      'sh',
      [
        '-c',
        `ulimit -S -c 1024 2>/dev/null; exec "$0" --input-type=module -e "$1"`,
        process.execPath,
        `
        import { hardenProcess } from ${JSON.stringify(new URL('../../src/main/hardening.ts', import.meta.url).href)}
        import { processParts } from ${JSON.stringify(new URL('../../src/main/process-parts.ts', import.meta.url).href)}
        const logs = []
        const parts = processParts({})
        await hardenProcess(parts, (level, message) => logs.push(message))
        const isOff = /^Max core file size\\s+0 /m.test(parts.limits() ?? '')
        process.stdout.write(JSON.stringify({ isOff, isTold: logs.length > 0 }))
        process.exit(0)
      `,
      ],
      {
        env: { PATH: process.env['PATH'] ?? '', NODE_NO_WARNINGS: '1' },
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    let said = ''
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
    await once(child, 'close')
    const { isOff, isTold } = JSON.parse(said) as { isOff: boolean; isTold: boolean }
    // Either it is off, or it is said; on a system with prlimit it is off.
    expect(isOff || isTold || parts.limits() === undefined).toBe(true)
    if (isSettable) expect(isOff).toBe(true)
  })
})

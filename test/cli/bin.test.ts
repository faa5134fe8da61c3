import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { nodeProblem } from '../../bin/node-check.js'

const root = new URL('../../', import.meta.url)
const bin = fileURLToPath(new URL('bin/keyturn.js', root))

function start(
  command: string,
  args: readonly string[],
): Promise<{ code: number | null; out: string; err: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: fileURLToPath(root),
      env: {
        ...process.env,
        NO_COLOR: '1',
        KEYTURN_URL: 'http://127.0.0.1:1',
        KEYTURN_OPERATOR_TOKEN: 'kt_op_x',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const read = { out: '', err: '' }
    child.stdout.on('data', (chunk: Buffer) => (read.out += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (read.err += chunk.toString()))
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, ...read }))
  })
}

describe('the check of the Node version', () => {
  it.each(['20.20.0', '22.18.9', '22.0.0', '18.0.0', '0.12.0'])('refuses %s and names the fix', (version) => {
    expect(nodeProblem(version)).toMatch(
      /^error: keyturn needs Node 22\.19 or newer.*\nfix: {3}Install a current Node/,
    )
  })

  it.each(['22.19.0', '22.20.1', '24.0.0', '26.1.0'])('lets %s pass', (version) => {
    expect(nodeProblem(version)).toBeUndefined()
  })
})

describe('the installed command', () => {
  beforeAll(async () => {
    if (existsSync(new URL('dist/cli/main.js', root))) return
    const { code, err } = await start(process.execPath, ['build.ts'])
    expect(code, err).toBe(0)
  }, 120_000)

  it('shows its help', async () => {
    const { code, out, err } = await start(process.execPath, [bin, '--help'])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toMatch(/^Usage: keyturn/)
  })

  it('ends with the exit code of what it did', async () => {
    expect((await start(process.execPath, [bin, 'nonsense'])).code).toBe(2)
    const nobody = await start(process.execPath, [bin, 'status'])
    expect(nobody.code).toBe(1)
    expect(nobody.err).toMatch(/no Keyturn answers at http:\/\/127\.0\.0\.1:1/)
  })

  it('is not troubled by a reader that goes away', async () => {
    const { code, err } = await start('/bin/sh', ['-c', `"${process.execPath}" "${bin}" --help | true`])
    expect({ code, err }).toEqual({ code: 0, err: '' })
  })
})

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Python {
  /** The interpreter, in a place of its own with the packages that were asked for; undefined: none can be had. */
  readonly path: string | undefined
  /** Why not. */
  readonly reason: string
  readonly remove: () => void
}

const installMs = 180_000

/** Python with these packages, installed into a folder that goes when it is removed. Machines without one go without. */
export async function pythonWith(packages: readonly string[]): Promise<Python> {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-python-'))
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  const path = join(folder, 'bin', 'python')
  for (const step of [
    ['python3', '-m', 'venv', folder],
    [path, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...packages],
  ]) {
    const reason = await failureOf(step)
    if (reason === undefined) continue
    remove()
    return { path: undefined, reason: `${packages.join(', ')} cannot be installed here: ${reason}`, remove }
  }
  return { path, reason: '', remove }
}

function failureOf([program = '', ...args]: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], timeout: installMs })
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said = `${said}${text}`.slice(-300)))
    child.on('error', (error) => resolve(error.message))
    child.on('close', (code) => resolve(code === 0 ? undefined : said.trim() || `exit code ${code}`))
  })
}

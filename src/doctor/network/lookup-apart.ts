import { execFile } from 'node:child_process'
import { isIP } from 'node:net'
import { isLoopbackHost } from '../../core/loopback.ts'
import { type Scope, StepFailed } from './attempt.ts'

const answerBytesMax = 64 * 1024

const script = `require('node:dns').lookup(process.argv[1], { all: true }, (error, found) => {
  process.stdout.write(JSON.stringify(error ? { code: error.code } : found.map(({ address }) => address)))
})`

/**
 * The system's resolver in a process of its own. It cannot be called off, and a process does not end before it has given up,
 * not even by `process.exit` (11 s with the usual resolv.conf): on a dead network that would be the longest step of all.
 */
export async function lookupApart(name: string, scope: Scope): Promise<readonly string[]> {
  const said = read(await outputOf(['-e', script, '--', name], scope))
  if (Array.isArray(said)) return said.map(String)
  throw Object.assign(new Error('not resolved'), said)
}

function outputOf(args: readonly string[], scope: Scope): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { encoding: 'utf8', maxBuffer: answerBytesMax, windowsHide: true } as const
    const child = execFile(process.execPath, args, options, (error, output) => {
      if (error === null) resolve(output)
      else reject(new StepFailed('RESOLVER_BROKE'))
    })
    scope.owns({ destroy: () => child.kill('SIGKILL') })
  })
}

function read(output: string): unknown {
  try {
    return JSON.parse(output)
  } catch {
    throw new StepFailed('RESOLVER_BROKE')
  }
}

/** Whether it takes a resolver at all that may be away. */
export function isKnownHere(name: string): boolean {
  return isIP(name) !== 0 || isLoopbackHost(name)
}

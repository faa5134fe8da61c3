import { execFile } from 'node:child_process'
import type { Ran } from '../doctor/compare/read-side.ts'
import { searchPath } from '../doctor/project/git.ts'
import type { Environment } from './compose.ts'

const runMsMax = 10_000
const outputBytesMax = 4_194_304

/** Runs a program with these arguments as they are: no shell reads them. */
export function runProgram(env: Environment): (program: string, args: readonly string[]) => Promise<Ran> {
  return (program, args) =>
    new Promise((resolve) => {
      const options = {
        env: { ...env, PATH: searchPath(env['PATH']) },
        timeout: runMsMax,
        maxBuffer: outputBytesMax,
        encoding: 'utf8',
      } as const
      execFile(program, args, options, (error, out, err) => {
        if (error === null) resolve({ kind: 'ended', code: 0, out, err })
        else if (typeof error.code === 'number') resolve({ kind: 'ended', code: error.code, out, err })
        else resolve({ kind: 'failed', reason: reasonOf(error) })
      })
    })
}

function reasonOf(error: { readonly code?: unknown; readonly killed?: boolean }): string {
  if (error.killed === true) return `it did not end within ${runMsMax / 1_000} s`
  return error.code === 'ENOENT' ? 'there is no such program on the PATH' : 'it could not be started'
}

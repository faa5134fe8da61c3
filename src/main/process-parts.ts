import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { ProcessParts } from './hardening.ts'

const runMsMax = 2_000

/** The process that this runs in. */
export function processParts(env: Readonly<Record<string, string | undefined>>): ProcessParts {
  return {
    platform: process.platform,
    pid: process.pid,
    inspectorUrl: () => process.getBuiltinModule('node:inspector').url(),
    on: (signal, listener) => void process.on(signal, listener),
    flags: [...process.execArgv, ...(env['NODE_OPTIONS'] ?? '').split(/\s+/)],
    report: process.report,
    limits: () => {
      try {
        return readFileSync('/proc/self/limits', 'utf8')
      } catch {
        return undefined
      }
    },
    run: (program, args) =>
      new Promise((resolve) => {
        // Nothing of the environment: there may be keys in it.
        execFile(
          program,
          args,
          { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' }, timeout: runMsMax },
          (error) => resolve(error === null),
        )
      }),
  }
}

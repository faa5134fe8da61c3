import { KeyturnError } from '../core/errors.ts'
import type { Log } from '../core/ports.ts'

/** What hardening asks of the process it runs in. */
export interface ProcessParts {
  readonly platform: string
  readonly pid: number
  /** Where an inspector listens; undefined: nowhere. */
  readonly inspectorUrl: () => string | undefined
  readonly on: (signal: 'SIGUSR1', listener: () => void) => void
  /** What Node was started with, NODE_OPTIONS among it. */
  readonly flags: readonly string[]
  readonly report: { excludeEnv?: boolean } | undefined
  /** /proc/self/limits; undefined where there is none. */
  readonly limits: () => string | undefined
  /** Runs a program without any of our environment; false where it is not there or fails. */
  readonly run: (program: string, args: readonly string[]) => Promise<boolean>
}

/**
 * What else could take secrets out of memory: a debugger, which every user of the machine can connect to once it listens;
 * a diagnostic report, which lists the environment; a core dump, which holds all there is.
 *
 * Node has no call to set a limit of its own process, so util-linux's prlimit is asked; where that is missing too, the
 * log says what to set from outside. `config_invalid` where a debugger listens.
 */
export async function hardenProcess(parts: ProcessParts, log: Log): Promise<void> {
  if (parts.inspectorUrl() !== undefined)
    throw new KeyturnError(
      'config_invalid',
      'A debugger is listening, and through it anybody on this machine reads every key.',
      {
        fix: 'Start without --inspect (look at NODE_OPTIONS). A service with --sandbox starts with it.',
      },
    )
  const dump = parts.flags.find((flag) => /^--heap(?:snapshot|-prof)/.test(flag))
  if (dump !== undefined)
    throw new KeyturnError(
      'config_invalid',
      'Node is told to write its memory to files, and with it every key.',
      {
        fix: `Start without ${dump.split('=', 1)[0]} (look at NODE_OPTIONS). A service with --sandbox starts with it.`,
      },
    )
  // Node starts the debugger on this signal; whoever listens to it takes that away.
  if (parts.platform !== 'win32')
    parts.on('SIGUSR1', () => log('warn', 'SIGUSR1 is ignored: it would start a debugger'))
  if (parts.report !== undefined) parts.report.excludeEnv = true
  if (dumpsCore(parts.limits()) !== true) return
  const isDone = await parts.run('prlimit', [`--pid=${parts.pid}`, '--core=0:0'])
  if (isDone && dumpsCore(parts.limits()) === false) return
  log('warn', 'a crash could write all memory, keys included, to a core dump', {
    fix: 'Start Keyturn with ulimit -c 0 (systemd: LimitCORE=0; Docker: --ulimit core=0).',
  })
}

/** Undefined: the system does not say. */
function dumpsCore(limits: string | undefined): boolean | undefined {
  const soft = /^Max core file size\s+(\S+)/m.exec(limits ?? '')?.[1]
  return soft === undefined ? undefined : soft !== '0'
}

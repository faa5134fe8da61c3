import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { constants } from 'node:os'
import type { Cancel } from '../../core/ports.ts'
import { sendSignal } from '../send-signal.ts'
import type { Signal } from './supervision.ts'

/** One running program. Signals to one that is gone are dropped. */
export interface Program {
  readonly pid: number
  send(signal: Signal): void
  /** SIGKILL, to it and to what it started in its process group. */
  kill(): void
  /** What is left of its process group is waited for no longer. */
  letGo(): void
}

export interface ProgramEvents {
  readonly onStarted: (program: Program) => void
  readonly onRefused: (refusal: { readonly code: 126 | 127; readonly errno: string }) => void
  readonly onExited: (code: number) => void
  /** It and its process group are gone. */
  readonly onGone: () => void
}

export interface ProgramOptions {
  readonly command: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** A session of its own, so that signals reach all that it starts. Not on a terminal, which it would lose. */
  readonly isOwnGroup: boolean
  readonly after: (delayMs: number, callback: () => void) => Cancel
}

const lookEveryMs = 50
/** A process that the kernel cannot end is not waited for after SIGKILL any longer than this. */
const looksAfterKillMax = 100

/** Starts a program on this process's own standard input, output and error. */
export function startProgram(options: ProgramOptions, events: ProgramEvents): void {
  const { command, args, env, isOwnGroup, after } = options
  const child = spawn(command, args, { env, stdio: 'inherit', detached: isOwnGroup })
  const { pid } = child
  child.once('error', (error: NodeJS.ErrnoException) => {
    // Also told of signals that could not be sent, when it is no refusal.
    if (pid !== undefined) return
    const errno = error.code ?? 'unknown'
    events.onRefused({ code: errno === 'ENOENT' || errno === 'ENOTDIR' ? 127 : 126, errno })
  })
  if (pid === undefined) return
  const target = isOwnGroup ? -pid : pid
  let isKilled = false
  let letGo: Cancel = () => undefined
  onExit(child, (code) => {
    events.onExited(code)
    letGo = waitForGroup({ pid, isOwnGroup, after, isKilled: () => isKilled }, events.onGone)
  })
  events.onStarted({
    pid,
    // The kernel drops SIGTSTP for a session that no shell looks after.
    send: (signal) => sendSignal(target, isOwnGroup && signal === 'SIGTSTP' ? 'SIGSTOP' : signal),
    kill: () => {
      isKilled = true
      sendSignal(target, 'SIGKILL')
    },
    letGo: () => letGo(),
  })
}

function onExit(child: ChildProcess, callback: (code: number) => void): void {
  child.once('exit', (code, signal) => callback(code ?? 128 + signalNumber(signal ?? 'SIGKILL')))
}

export function signalNumber(signal: Signal): number {
  return constants.signals[signal]
}

function waitForGroup(
  group: Pick<ProgramOptions, 'isOwnGroup' | 'after'> & { readonly pid: number; isKilled: () => boolean },
  onGone: () => void,
): Cancel {
  const { pid, isOwnGroup, after, isKilled } = group
  let cancel: Cancel = () => undefined
  let looksLeft = looksAfterKillMax
  const look = (): void => {
    if (isKilled()) looksLeft -= 1
    if (!isOwnGroup || looksLeft <= 0 || !isGroupAlive(pid)) onGone()
    else cancel = after(lookEveryMs, look)
  }
  look()
  return () => cancel()
}

function isGroupAlive(group: number): boolean {
  try {
    process.kill(-group, 0)
  } catch {
    return false
  }
  return membersOf(group) ?? true
}

/**
 * Whether anybody of a process group still does anything; undefined where the system does not tell. As the first process of a
 * container this one is given every orphan, and nobody takes the dead ones away: to a signal they count as there.
 */
function membersOf(group: number, but: ReadonlySet<string> = new Set()): boolean | undefined {
  try {
    return readdirSync('/proc').some((name) => /^\d+$/.test(name) && !but.has(name) && isMember(name, group))
  } catch {
    return undefined
  }
}

function isMember(pid: string, group: number): boolean {
  const found = statOf(pid)
  return found?.group === group && !'ZX'.includes(found.state)
}

/** Undefined where there is no such process. */
function statOf(pid: string): { readonly state: string; parent: string; group: number } | undefined {
  try {
    // After the name, which may hold anything, in brackets.
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const [state = 'Z', parent = '', group = ''] = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return { state, parent, group: Number(group) }
  } catch {
    return undefined
  }
}

/**
 * Whether this process and those that it was started by are all that is left of its own group, which on a terminal is that
 * of its programs as well. False where the system does not tell.
 */
export function isAloneInGroup(): boolean {
  const known = new Set<string>()
  const own = statOf('self')
  for (let pid = String(process.pid); pid !== '0' && pid !== '' && !known.has(pid); )
    pid = known.add(pid) && (statOf(pid)?.parent ?? '')
  return own !== undefined && membersOf(own.group, known) === false
}

/** Whether a terminal sends its signals to this process: then it sends them to what is started here as well. */
export function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'))
    return true
  } catch {
    return false
  }
}

/** Those that a terminal sends to everybody in the foreground by itself. */
export const terminalSignals: readonly Signal[] = ['SIGINT', 'SIGQUIT', 'SIGHUP']
const passedOn: readonly Signal[] = ['SIGTERM', 'SIGUSR1', 'SIGUSR2', ...terminalSignals]

/** Calls back for every signal that is a program's business, which then does nothing to this process. */
export function onSignals(
  callback: (signal: Signal) => void,
  options: { readonly isOwnGroup: boolean },
): Cancel {
  // On a terminal the kernel stops and continues both.
  const names = options.isOwnGroup ? [...passedOn, 'SIGTSTP' as const, 'SIGCONT' as const] : passedOn
  const listeners = names.map((name) => [name, () => callback(name)] as const)
  for (const [name, listener] of listeners) process.on(name, listener)
  return () => {
    for (const [name, listener] of listeners) process.off(name, listener)
  }
}

/** Stops this process until it is told to go on, as a shell expects of what it stopped. */
export function stopSelf(): void {
  process.kill(process.pid, 'SIGSTOP')
}

import type { ErrorCode } from '../core/errors.ts'

/** What the process ends with. Scripts rely on it: never renumber. */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  /** Something has stopped until a person decides or acts. */
  needsHuman: 3,
  /** Ctrl-C, as shells have it: 128 + SIGINT. */
  interrupted: 130,
} as const

/** What a program ended with that a command ran in its place: it means what that program says. */
export type ProgramExit = number & { readonly ofProgram: true }

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes] | ProgramExit

export function programExit(code: number): ProgramExit {
  return code as ProgramExit
}

const forHumans: readonly ErrorCode[] = [
  'confirmation_needed',
  'approval_needed',
  'rotation_halted',
  'rehearsal_failed',
  'blackout',
  'no_verified_key',
  'last_working_key',
]

/** A person left at a question, with Ctrl-C or Ctrl-D: nothing was done, and nothing is wrong. */
export class Interrupted extends Error {}

export function exitCodeOf(code: ErrorCode): ExitCode {
  if (code === 'usage') return exitCodes.usage
  return forHumans.includes(code) ? exitCodes.needsHuman : exitCodes.failed
}

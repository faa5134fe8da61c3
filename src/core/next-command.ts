import type { CredentialName } from './types.ts'

/** What to type once what a fix asks for is done. A fix may itself end in a command, which takes no full stop. */
export function thenRun(fix: string, command: string): string {
  const isSentence = fix === '' || /[.!?]$/.test(fix)
  return isSentence ? `${fix} Then run: ${command}`.trim() : `${fix}; then run: ${command}`
}

/** Both ways out of a halt, whether or not its fix has named the first already. */
export function resumeOrAbort(fix: string, credential: CredentialName): string {
  const resume = `keyturn resume ${credential}`
  const onward = fix.endsWith(resume) ? fix : thenRun(fix, resume)
  return `${onward}, or give it up: keyturn abort ${credential}`
}

// npm run soak [-- --minutes 10 --kill-every 4 --seed 1]: real processes, killed at random moments. docs/reliability.md.
import { buildIfNeeded } from '../../bench/lib/build.ts'
import { type SoakOptions, soakOptions, usage } from './options.ts'
import { type Outcome, playSoak, soakFolder, type Watcher } from './soak.ts'
import { type CheckName, checks } from './story.ts'

const progressMs = 10_000

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  let options: SoakOptions
  try {
    options = soakOptions(args)
  } catch (thrown) {
    say(`${thrown instanceof Error ? thrown.message : ''}\n${usage}`)
    return 2
  }
  buildIfNeeded()
  const interrupt = new AbortController()
  const stop = (): void => {
    if (interrupt.signal.aborted) process.exit(130)
    say('interrupted: ending what runs')
    interrupt.abort()
  }
  process.on('SIGINT', stop).on('SIGTERM', stop)
  // A mistake of the soak itself must not leave its processes behind.
  let mistake: Error | undefined
  process.on('unhandledRejection', (thrown) => {
    mistake ??= thrown instanceof Error ? thrown : new Error('something that is no error was thrown')
    interrupt.abort()
  })
  const { minutes, killEvery, seed, apps } = options
  say(
    `soak: ${minutes} minutes, seed ${seed}, ${apps} apps, a blow every ${killEvery} s; then healing and looking through`,
  )
  const folder = soakFolder()
  const watcher: Watcher = {
    onProgress: say,
    onViolation: ({ check, what }) => say(`broken: ${checks[check]}: ${what}`),
    everyMs: progressMs,
  }
  const outcome = await playSoak(options, { folder, watcher, signal: interrupt.signal })
  if (mistake !== undefined) {
    say(`the soak failed: ${mistake.stack ?? mistake.message}`)
    return 1
  }
  tell(outcome, options, folder)
  if (interrupt.signal.aborted) {
    say(`interrupted; what was written is in ${folder}`)
    return 130
  }
  return outcome.story.isWell ? 0 : 1
}

function tell(
  { story, figures, pending, isWhole }: Outcome,
  { minutes, seed }: SoakOptions,
  folder: string,
): void {
  if (!story.isWell) {
    for (const line of story.toTell()) say(line)
    for (const line of pending) say(`pending: ${line}`)
    say(`logs and ledger: ${folder}`)
    say(`again: npm run soak -- --minutes ${minutes} --seed ${seed}\n`)
  }
  for (const line of figures) say(line)
  const names = Object.keys(checks) as CheckName[]
  const failed = names.filter((name) => story.counts.has(name))
  const passed = isWhole ? names.filter((name) => !story.counts.has(name)) : []
  for (const name of names) {
    const verdict = passed.includes(name) ? 'ok    ' : failed.includes(name) ? 'FAILED' : '-     '
    const count = story.counts.get(name)
    say(`${verdict}  ${checks[name]}${count === undefined ? '' : ` (${count})`}`)
  }
  if (!isWhole) say('what has no verdict was not looked at')
  say(`${passed.length} passed, ${failed.length} failed`)
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

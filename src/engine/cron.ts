import { Cron } from 'croner'
import { KeyturnError } from '../core/errors.ts'
import type { Beat, Log, Occurrences } from '../core/ports.ts'

const fieldNames = ['minute', 'hour', 'day of month', 'month', 'day of week'] as const
const cachedMax = 1_000

/**
 * Occurrences by croner, which answers for any instant and reads no clock. Where clocks go forward, what falls into the
 * missing hour comes at its end, once; where they go back, a time of day that exists twice counts the first time only
 * (an expression that names every hour counts both).
 */
export function createOccurrences(): Occurrences {
  // Parsing costs more than asking, and there are few different schedules.
  const cache = new Map<string, Cron>()
  return {
    next(expression, timeZone, afterAt) {
      const key = `${expression}\n${timeZone}`
      let cron = cache.get(key)
      if (cron === undefined) {
        assertReadable(expression, timeZone)
        if (cache.size >= cachedMax) cache.clear()
        cron = parse(expression, timeZone)
        cache.set(key, cron)
      }
      return cron.nextRun(new Date(afterAt))?.getTime()
    },
  }
}

/**
 * Refuses, with `config_invalid`, what cannot be a schedule, and names the field: five fields, or six with seconds
 * first; a time zone that this system knows; at least one occurrence. A restriction of both the day of month and the
 * day of week is refused too, because cron programs disagree whether one or both must match.
 */
export function assertValidCron(expression: string, timeZone: string): void {
  assertReadable(expression, timeZone)
  // Any fixed instant does: an expression either has occurrences for ever or none at all.
  if (parse(expression, timeZone).nextRun(new Date(0)) === null)
    throw invalid(`schedule "${expression}" never comes`, 'Choose a day that its months have.')
}

function assertReadable(expression: string, timeZone: string): void {
  const fields = expression.trim().split(/\s+/)
  if (fields.length !== 5 && fields.length !== 6)
    throw invalid(
      `schedule "${expression}" has ${expression.trim() === '' ? 0 : fields.length} fields`,
      `Write five, ${fieldNames.join(', ')}, or six with seconds first, e.g. "0 3 1 1,4,7,10 *".`,
    )
  const names = fields.length === 6 ? ['second', ...fieldNames] : fieldNames
  for (const [index, field] of fields.entries()) {
    const alone = fields.map((_field, place) => (place === index ? field : '*'))
    if (!isReadable(alone.join(' ')))
      throw invalid(
        `schedule "${expression}" has "${field}" for the ${names[index] ?? ''}`,
        'Write a number, a range such as 1-5, a list such as 1,4,7,10, a step such as */15, or *.',
      )
  }
  const isAny = (field: string | undefined) => field === '*' || field === '?'
  if (!isAny(fields.at(-3)) && !isAny(fields.at(-1)))
    throw invalid(
      `schedule "${expression}" restricts both the day of month and the day of week`,
      'Write * for one of them: cron programs disagree whether one or both must match.',
    )
  if (!isTimeZone(timeZone))
    throw invalid(
      `schedule "${expression}" has the unknown time zone "${timeZone}"`,
      'Write an IANA name such as UTC or Europe/Berlin.',
    )
}

function parse(expression: string, timeZone: string): Cron {
  // What knows of time zones takes 30 ms to load, and UTC needs none of it.
  const zone = timeZone === 'UTC' ? { utcOffset: 0 } : { timezone: timeZone }
  return new Cron(expression, { ...zone, paused: true })
}

function isReadable(expression: string): boolean {
  try {
    parse(expression, 'UTC')
    return true
  } catch {
    return false
  }
}

function isTimeZone(name: string): boolean {
  if (name === 'UTC') return true
  try {
    Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}

function invalid(message: string, fix: string): KeyturnError {
  return new KeyturnError('config_invalid', message, { fix })
}

/** Every second. Due times are rows in the ledger; the beat only asks what is due. */
const everySecond = '* * * * * *'

/**
 * The beat on node-cron, which reads the system clock and is loaded on `start`; once stopped it stays so. A beat that comes late or not at all
 * loses nothing, so what node-cron has to say about it is a debug line.
 */
export function createCronBeat(log: Log, expression: string = everySecond): Beat {
  let stopTask: (() => void) | undefined
  let isStopped = false
  return {
    start(onBeat) {
      if (stopTask !== undefined || isStopped) return
      stopTask = () => undefined
      import('node-cron').then(
        ({ schedule }) => {
          if (isStopped) return
          const say = (message: string | Error) =>
            log('debug', 'beat', { said: message instanceof Error ? message.name : message })
          const task = schedule(expression, onBeat, {
            timezone: 'UTC',
            suppressMissedWarning: true,
            logger: { info: say, warn: say, error: say, debug: say },
          })
          stopTask = () => void task.destroy()
        },
        (error: unknown) => log('error', 'the beat cannot start: node-cron is not there', { error }),
      )
    },
    stop() {
      isStopped = true
      stopTask?.()
    },
  }
}

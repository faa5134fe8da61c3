import { z } from 'zod'
import { durationPattern, parseDuration } from './duration.ts'
import { isLoopback } from './listen.ts'

/**
 * The kinds of value that the configuration is made of. Each check's message says what was expected and never quotes
 * what was found: a secret pasted into the wrong line must not come back out in an error.
 */

export interface DurationLimits {
  readonly default: string
  readonly min: string
  readonly max: string
}

/** A duration with its default and range; stays a string here, so that the published JSON Schema can say what is written. */
export function duration(limits: DurationLimits, description: string) {
  const expected = `expected a duration from ${limits.min} to ${limits.max}, such as ${limits.default}`
  return z
    .string({ error: expected })
    .regex(durationPattern, { error: `${expected} (a whole number and ms, s, m, h or d)`, abort: true })
    .refine((text) => isWithin(text, limits), { error: expected })
    .default(limits.default)
    .describe(`${description} ${limits.min} to ${limits.max}.`)
}

function isWithin(text: string, limits: DurationLimits): boolean {
  const ms = parseDuration(text)
  const min = parseDuration(limits.min)
  const max = parseDuration(limits.max)
  return ms !== undefined && min !== undefined && max !== undefined && ms >= min && ms <= max
}

export function wholeNumber(
  limits: { readonly default: number; readonly min: number; readonly max: number },
  description: string,
) {
  const expected = `expected a whole number from ${limits.min} to ${limits.max}`
  return z
    .number({ error: expected })
    .int({ error: expected, abort: true })
    .min(limits.min, { error: expected })
    .max(limits.max, { error: expected })
    .default(limits.default)
    .describe(`${description} ${limits.min} to ${limits.max}.`)
}

export const textBytesMax = 2_048

/** A line of text: not empty, no control characters. */
export function text(expected: string, description: string) {
  const error = `expected ${expected}`
  return z
    .string({ error })
    .min(1, { error })
    .max(textBytesMax, { error: `${error} of at most ${textBytesMax} characters` })
    .regex(/^\P{Cc}*$/u, { error: `${error} without control characters` })
    .describe(description)
}

export const listMax = 200

export function textList(expected: string, description: string) {
  return z
    .array(text(expected, ''), { error: `expected a list of ${expected}s, e.g. [a, b]` })
    .max(listMax, { error: `expected at most ${listMax} entries` })
    .default([])
    .describe(description)
}

export const environmentName = z
  .string({ error: 'expected the name of an environment variable' })
  .regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, {
    error: 'expected the name of an environment variable, such as OPENAI_ADMIN_KEY (the name, not its value)',
  })

/** Where a secret is read from: exactly one of two places. */
export function secretSource(description: string) {
  const error = 'expected { env: NAME } or { file: PATH }; the secret itself never belongs into this file'
  return z
    .union([z.strictObject({ env: environmentName }), z.strictObject({ file: text('a path', 'Path.') })], {
      error,
    })
    .describe(description)
}

/** HTTPS, or HTTP to this machine; no credentials, query or fragment. The key itself travels there. */
export const httpsUrl = z
  .string({ error: 'expected a URL such as https://api.openai.com/v1' })
  .refine(isSafeUrl, {
    error:
      'expected an https:// URL without user, query or fragment, such as https://api.openai.com/v1 (http:// only to this machine)',
  })

export function isSafeUrl(candidate: string): boolean {
  if (!URL.canParse(candidate)) return false
  const url = new URL(candidate)
  const isProtected = url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))
  return isProtected && url.username === '' && url.password === '' && url.search === '' && url.hash === ''
}

export function path(description: string) {
  return text('a path', `${description} Relative to the folder of this file.`)
}

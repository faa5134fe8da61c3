import { type Html, html } from './html.ts'

/** An instant as people say it, with the exact one behind it for those who point at it. */
export function when(at: string | null | undefined, now: number): Html {
  if (at === null || at === undefined) return html`–`
  return html`<time datetime="${at}" title="${exact(at)}">${relative(Date.parse(at) - now)}</time>`
}

/** Both written out: nothing can be pointed at on a phone or with a keyboard. */
export function whenExactly(at: string | null | undefined, now: number): Html {
  if (at === null || at === undefined) return html`–`
  return html`${when(at, now)} <span class="hint">${exact(at)}</span>`
}

/** `2026-11-26 03:04:05 UTC` */
export function exact(at: string): string {
  return `${at.slice(0, 19).replace('T', ' ')} UTC`
}

const units = [
  ['year', 31_536_000_000],
  ['month', 2_592_000_000],
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1_000],
] as const

/** `3 days ago`, `in 36 days`, `now`: the largest unit that fits twice, so that what is left out is less than half. */
export function relative(ms: number): string {
  const size = Math.abs(ms)
  if (size < 1_000) return 'now'
  const [unit, length] = units.find(([, each]) => size >= 2 * each) ?? ['second', 1_000]
  const count = Math.floor(size / length)
  const words = `${count} ${unit}${count === 1 ? '' : 's'}`
  return ms < 0 ? `${words} ago` : `in ${words}`
}

export function short(version: string): string {
  return version.length > 12 ? `${version.slice(0, 12)}…` : version
}

/** `new_service_account` as words. */
export function spaced(code: string): string {
  return code.replaceAll('_', ' ')
}

export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}

/** As one begins and ends: messages are written to be part of others, too. */
export function sentence(text: string): string {
  const whole = text.charAt(0).toUpperCase() + text.slice(1)
  return /[.!?…]$/.test(whole) ? whole : `${whole}.`
}

import { expect, it } from 'vitest'
import { within as withinInClient } from '../../src/client/deadline.ts'
import { within } from '../../src/engine/within.ts'

/** One timer in the hands of the test. */
function handTimer() {
  const set: { delayMs: number; background: boolean | undefined; fire: () => void }[] = []
  let cleared = 0
  const after = (delayMs: number, fire: () => void, options?: { readonly background?: boolean }) => {
    set.push({ delayMs, fire, background: options?.background })
    return () => void (cleared += 1)
  }
  return { after, set, cleared: () => cleared }
}

const never = new Promise<never>(() => undefined)

it.each([
  ['engine', within],
  ['client', withinInClient],
])('%s: work that ends, fails or is late leaves no timer behind', async (_where, wait) => {
  const timer = handTimer()
  await wait(timer, 50, Promise.resolve('done'))
  await expect(wait(timer, 50, Promise.reject(new Error('failed')))).rejects.toThrow('failed')
  const late = wait(timer, 50, never)
  timer.set[2]?.fire()
  expect(await late).toBeUndefined()
  expect([timer.set.map(({ delayMs }) => delayMs), timer.cleared()]).toEqual([[50, 50, 50], 3])
})

it('gives what the work gives, and has a timer that keeps the process unless it is said otherwise', async () => {
  const timer = handTimer()
  expect(await within(timer, 50, Promise.resolve(7))).toBe(7)
  await within(timer, 50, Promise.resolve(), { background: true })
  expect(timer.set.map(({ background }) => background ?? false)).toEqual([false, true])
})

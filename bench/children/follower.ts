// An app that calls getOpenAIKey() all the time, and tells when it first got which key.
import type * as Keyturn from '../../src/index.ts'

const keyturn = (await import(new URL('../../dist/index.js', import.meta.url).href)) as typeof Keyturn
const { getOpenAICredential, getOpenAIKey } = keyturn

const everyMs = 1

let known = await getOpenAIKey()
process.send?.({ generation: (await getOpenAICredential()).generation, at: now() })
const timer = setInterval(() => void look(), everyMs)
process.on('SIGTERM', () => {
  clearInterval(timer)
  process.exit(0)
})

async function look(): Promise<void> {
  const key = await getOpenAIKey()
  if (key === known) return
  const at = now()
  known = key
  process.send?.({ generation: (await getOpenAICredential()).generation, at })
}

/** Epoch milliseconds with fractions, comparable between processes of one machine. */
function now(): number {
  return performance.timeOrigin + performance.now()
}

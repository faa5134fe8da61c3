// An app: what one call of getOpenAIKey() costs it, and how many questions many callers at once make.
import type * as Keyturn from '../../src/index.ts'

const keyturn = (await import(new URL('../../dist/index.js', import.meta.url).href)) as typeof Keyturn
const { createClient, getOpenAIKey } = keyturn

const callsPerRound = 300_000
const turnsPerRound = 20_000
const rounds = 15
const callersAtOnce = 10_000
/** Longer than any key is served without hearing from the service. */
const expiryMs = 200 * 86_400_000

process.on('message', () => {
  measure().then(
    (result) => process.send?.(result),
    (error: unknown) => {
      process.stderr.write(`${error instanceof Error ? error.message : 'the measurement failed'}\n`)
      process.exit(1)
    },
  )
})

async function measure(): Promise<object> {
  const constant = await getOpenAIKey()
  const warm = await alternate(
    () => awaitConstant(constant),
    () => awaitKey(),
  )
  const turns = await alternate(
    () => constantPerTurn(constant),
    () => keyPerTurn(),
  )
  return { warm, turns, ...(await crowd()) }
}

interface Pair {
  readonly constantNs: number
  readonly keyNs: number
}

async function alternate(
  constant: () => Promise<number>,
  key: () => Promise<number>,
): Promise<readonly Pair[]> {
  const pairs: Pair[] = []
  await constant()
  await key()
  for (let round = 0; round < rounds; round += 1) {
    if (round % 2 === 0) pairs.push({ constantNs: await constant(), keyNs: await key() })
    else {
      const keyNs = await key()
      pairs.push({ constantNs: await constant(), keyNs })
    }
  }
  return pairs
}

// Four loops written out: one that takes a function would measure the call of that function.

async function awaitConstant(constant: string | Promise<string>): Promise<number> {
  const startAt = performance.now()
  let length = 0
  for (let call = 0; call < callsPerRound; call += 1) length += (await constant).length
  return nsEach(startAt, callsPerRound, length)
}

async function awaitKey(): Promise<number> {
  const startAt = performance.now()
  let length = 0
  for (let call = 0; call < callsPerRound; call += 1) length += (await getOpenAIKey()).length
  return nsEach(startAt, callsPerRound, length)
}

async function constantPerTurn(constant: string | Promise<string>): Promise<number> {
  const startAt = performance.now()
  let length = 0
  for (let turn = 0; turn < turnsPerRound; turn += 1) {
    await new Promise(setImmediate)
    length += (await constant).length
  }
  return nsEach(startAt, turnsPerRound, length)
}

async function keyPerTurn(): Promise<number> {
  const startAt = performance.now()
  let length = 0
  for (let turn = 0; turn < turnsPerRound; turn += 1) {
    await new Promise(setImmediate)
    length += (await getOpenAIKey()).length
  }
  return nsEach(startAt, turnsPerRound, length)
}

function nsEach(startAt: number, count: number, length: number): number {
  const ns = ((performance.now() - startAt) * 1e6) / count
  // Looked at, so that no compiler may leave the work out.
  if (length === 0) throw new Error('no key')
  return ns
}

async function crowd(): Promise<{ readonly coldCalls: number; readonly expiredCalls: number }> {
  let calls = 0
  let shiftMs = 0
  const client = createClient({
    platform: {
      now: () => Date.now() + shiftMs,
      steadyNow: () => performance.now() + shiftMs,
      fetch: (input, init) => {
        calls += 1
        return fetch(input, init)
      },
    },
  })
  const all = async (): Promise<number> => {
    calls = 0
    const keys = await Promise.all(Array.from({ length: callersAtOnce }, () => client.getOpenAIKey()))
    if (new Set(keys).size !== 1) throw new Error('callers at one moment got different keys')
    return calls
  }
  try {
    const coldCalls = await all()
    shiftMs = expiryMs
    const expiredCalls = await all()
    return { coldCalls, expiredCalls }
  } finally {
    client.close()
  }
}

import { isRecord } from '../core/json.ts'
import type { CredentialName, CredentialState } from '../core/types.ts'
import { parseState, toJson, withinLength } from './json.ts'

/** Beyond it the one that was written longest ago is parsed again. */
const statesMax = 20_000

/**
 * States as they were last read or written here: they are asked for many times between two changes, and each is some
 * kilobytes of text. Whoever else writes to the same file writes another revision with it, so what is known of a
 * revision holds as long as the entry has that one. Nothing is put in before it is durable.
 */
export interface KnownStates {
  get(name: CredentialName, revision: unknown): CredentialState | undefined
  put(state: CredentialState): void
  /** The state as JSON. What it has in common with states before it is neither written out nor looked through again. */
  text(state: CredentialState): string
}

export function knownStates(): KnownStates {
  const states = new Map<CredentialName, CredentialState>()
  const texts = new WeakMap<object, string>()

  function partText(part: object, what: string): string {
    const made = texts.get(part)
    if (made !== undefined) return made
    const text = toJson(part, what)
    texts.set(part, text)
    return text
  }

  /** Undefined where the value is no part of its own, and no list of such. */
  function textOf(value: unknown, what: string): string | undefined {
    if (isRecord(value)) return partText(value, what)
    const isList = Array.isArray(value) && value.length > 0 && value.every(isRecord)
    return isList ? `[${value.map((one) => partText(one, what)).join()}]` : undefined
  }

  return {
    get(name, revision) {
      const state = states.get(name)
      return state?.revision === revision ? state : undefined
    },
    put(state) {
      states.delete(state.name)
      states.set(state.name, state)
      const [oldest] = states.size > statesMax ? states.keys() : []
      if (oldest !== undefined) states.delete(oldest)
    },
    text(state) {
      const what = `the state of "${state.name}"`
      const plain: Record<string, unknown> = {}
      const parts: string[] = []
      for (const [name, value] of Object.entries(state) as readonly [string, unknown][]) {
        const text = textOf(value, what)
        if (text === undefined) plain[name] = value
        else parts.push(`"${name}":${text}`)
      }
      return withinLength(`{${[toJson(plain, what).slice(1, -1), ...parts].join()}}`, what)
    },
  }
}

/** The state of a row; revision and fence are the columns', since a claim raises them without touching the text. */
export function stateOfRow(row: Readonly<Record<string, unknown>>, known: KnownStates): CredentialState {
  const name: CredentialName = String(row['name'])
  const revision = Number(row['revision'])
  const held = known.get(name, revision)
  if (held !== undefined) return held
  return { ...parseState(String(row['state']), name), revision, fence: Number(row['fence']) }
}

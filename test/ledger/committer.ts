import { writeSync } from 'node:fs'
import { openSqliteLedger } from '../../src/ledger/sqlite.ts'
import { eventOf, stateOf } from './states.ts'

/**
 * Run as a child process: adds one to the generation again and again, and writes each number to standard output once
 * the ledger has acknowledged it. Ends after `count` commits of its own, or when it is killed.
 */
const [path = '', count = '1'] = process.argv.slice(2)
const ledger = openSqliteLedger({ path })
let state = await ledger.open('openai', stateOf('openai'))
for (let done = 0; done < Number(count); ) {
  const next = { ...state, generation: state.generation + 1 }
  const outcome = await ledger.commit({
    state: next,
    dueAt: 0,
    events: [{ ...eventOf('openai', String(next.generation)), generation: next.generation }],
  })
  if (outcome.kind === 'committed') {
    state = outcome.state
    done += 1
    writeSync(1, `${state.generation}\n`)
  } else {
    const read = await ledger.read('openai')
    if (read !== undefined) state = read
  }
}
await ledger.close()

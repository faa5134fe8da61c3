import { KeyturnError } from '../../../src/core/errors.ts'
import { openStore } from '../../../src/stores/index.ts'
import { testContext } from './system.ts'

/** Reads the current version from the local store of the home in the argument, and says how that ended. */
const home = process.argv[2] ?? ''
try {
  const store = await openStore({ kind: 'local' }, testContext(home))
  const found = await store.read('openai')
  process.stdout.write(found === undefined ? 'absent' : 'read')
} catch (thrown) {
  const { code, message } = thrown instanceof KeyturnError ? thrown : new KeyturnError('internal', 'not ours')
  process.stdout.write(`${code} ${message}`)
}

import { it } from 'vitest'
import { everyOrderOfFailure } from './rotation-property.ts'

/** Each is a second of a real SDK on the wire: all of them in the suite of races. */
const runs = process.env['KEYTURN_RACES'] === 'all' ? 60 : 2

it('whatever AWS calls and whatever fails or dies, one key works and none is left over', async () => {
  await everyOrderOfFailure({ runs })
}, 600_000)

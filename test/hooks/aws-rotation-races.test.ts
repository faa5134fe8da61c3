import { it } from 'vitest'
import { everyOrderOfFailure } from './rotation-property.ts'

/** Each is half a second of a real SDK on the wire: many that are drawn anew in the suite of races, else two that stay. */
const options = process.env['KEYTURN_RACES'] === 'all' ? { runs: 60 } : { runs: 2, seed: 20_261_126 }

it('whatever AWS calls and whatever fails or dies, one key works and none is left over', async () => {
  await everyOrderOfFailure(options)
}, 600_000)

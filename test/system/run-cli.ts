/** The command line from source, as a process of its own: what bin/keyturn.js does with the built one. */
import { main } from '../../src/cli/main.ts'

process.exitCode = await main(process.argv.slice(2))

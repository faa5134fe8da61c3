import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type PostgresServer, startPostgres } from './server.ts'

/** Where a test file asks for the PostgreSQL of this run. */
export const askVariable = 'KEYTURN_TEST_POSTGRES_ASK'

/** One PostgreSQL for a whole run, started when the first test asks for it; a run that needs none starts none. */
export default async function setup(): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'keyturn-pg-ask-'))
  let starting: Promise<PostgresServer> | undefined
  const answer = async (): Promise<string> => {
    try {
      starting ??= startPostgres()
      return JSON.stringify((await starting).address)
    } catch (thrown) {
      return JSON.stringify({ failure: thrown instanceof Error ? thrown.message : 'unknown' })
    }
  }
  const asked = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    void answer().then((text) => socket.end(text))
  })
  const path = join(folder, 'ask')
  await new Promise<void>((resolve) => asked.listen(path, resolve))
  process.env[askVariable] = path
  return async () => {
    asked.close()
    const server = await starting?.catch(() => undefined)
    await server?.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

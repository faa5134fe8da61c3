import { copyFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from '../free-port.ts'
import type { Emulator } from './emulator.ts'
import { buildGo } from './go.ts'
import { serve } from './processes.ts'

/** The newest release that builds with the libraries that are published beside it; 1.20 and 1.21 need others of theirs. */
const version = '1.19.0'
const startMs = 60_000

/** HashiCorp Vault's core, HTTP layer, KV engine and AppRole, built from the Go module proxy around vault-server.go. */
export const vault: Emulator = {
  name: 'vault',
  version,
  suite: 'vault.suite.ts',

  async install(folder) {
    await copyFile(join(import.meta.dirname, 'vault-server.go'), join(folder, 'main.go'))
    await buildGo(
      'vault',
      { command: '.', requires: { 'github.com/hashicorp/vault': `v${version}` } },
      folder,
    )
  },

  async start(installed, folder) {
    const address = `127.0.0.1:${await freePort()}`
    const tokenFile = join(folder, 'root-token')
    const server = await serve([join(installed, 'vault'), address, tokenFile], {
      cwd: folder,
      logFile: join(folder, 'vault.log'),
      isReady: async () => (await fetch(`http://${address}/v1/sys/health`)).ok,
      timeoutMs: startMs,
    })
    const token = await readFile(tokenFile, 'utf8')
    return {
      env: { KEYTURN_SUITE_VAULT: `http://${address}`, KEYTURN_SUITE_VAULT_TOKEN: token },
      stop: () => server.stop(),
    }
  },
}

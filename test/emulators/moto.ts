import { join } from 'node:path'
import { freePort } from '../free-port.ts'
import { type Emulator, NotInstallable } from './emulator.ts'
import { run, serve } from './processes.ts'

/** With everything it needs, so that a later release of something else changes nothing here. */
const requirements = join(import.meta.dirname, 'moto-requirements.txt')
const installMs = 300_000
const startMs = 60_000

const pythonIn = (installed: string): string => join(installed, 'venv', 'bin', 'python')

/** AWS Secrets Manager by the moto project, from PyPI. */
export const moto: Emulator = {
  name: 'moto',
  version: '5.2.5',
  suite: 'aws.suite.ts',

  async install(folder) {
    const steps = [
      ['python3', '-m', 'venv', join(folder, 'venv')],
      [pythonIn(folder), '-m', 'pip', 'install', '--quiet', '--requirement', requirements],
    ]
    for (const step of steps) {
      const { isGood, said } = await run(step, { cwd: folder, timeoutMs: installMs })
      if (!isGood) throw new NotInstallable(said)
    }
  },

  async start(installed, folder) {
    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    const server = await serve(
      [pythonIn(installed), '-m', 'moto.server', '--host', '127.0.0.1', '--port', `${port}`],
      {
        cwd: folder,
        logFile: join(folder, 'moto.log'),
        isReady: async () => (await fetch(`${url}/moto-api/data.json`)).ok,
        timeoutMs: startMs,
      },
    )
    return { env: { KEYTURN_SUITE_AWS: url }, stop: () => server.stop() }
  },
}

import { onTestFinished } from 'vitest'
import { createLog } from '../../src/log.ts'
import { type Serving, serve } from '../../src/main.ts'
import { createSystem } from '../../src/system.ts'
import type { Rig } from './harness.ts'

/** The whole service in this process, composed as in production. `env`: variables beside those of the rig. */
export async function serveRig(rig: Rig, env: Readonly<Record<string, string>> = {}): Promise<Serving> {
  const system = createSystem()
  const log = createLog({
    level: 'debug',
    format: 'json',
    write: (line) => void rig.logs.push(line),
    clock: system,
  })
  const serving = await serve({ env: { ...rig.env, ...env }, cwd: rig.home, log, system })
  onTestFinished(() => serving.stop())
  return serving
}

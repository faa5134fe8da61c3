import { resolve } from 'node:path'
import type { Config } from '../config/types.ts'
import type { Context } from './command.ts'
import { cronCheck } from './cron-check.ts'

/** The configuration that serve and tick run with. Errors: `config_missing`, `config_invalid`. */
export async function readConfiguration({ io, options, out }: Context): Promise<Config> {
  const file = options.text('config')
  const [{ loadConfig }, cron] = await Promise.all([import('../config/load.ts'), cronCheck()])
  const sources = {
    env: io.env,
    cwd: io.cwd,
    readFile: io.readFile,
    ...cron,
    ...(file === undefined ? {} : { configPath: resolve(io.cwd, file) }),
  }
  return loadConfig(sources, (warning) => out.warn(warning))
}

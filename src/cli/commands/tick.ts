import type { Context } from '../command.ts'
import { readConfiguration } from '../configuration.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { serviceLog } from '../service-log.ts'
import { needsHuman, renderList } from '../summary.ts'

export async function run(context: Context): Promise<ExitCode> {
  const { io, out } = context
  const config = await readConfiguration(context)
  const log = await serviceLog(io, config.log)
  const main = await io.loadMain()
  const { credentials } = await main.tick({ config, env: io.env, cwd: io.cwd, log })
  out.result({ items: credentials }, () => renderList(credentials, { now: io.now(), out }))
  return credentials.some(needsHuman) ? exitCodes.needsHuman : exitCodes.done
}

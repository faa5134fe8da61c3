import { resolve } from 'node:path'
import { checkConfig, describeProblem } from '../../config/load.ts'
import { KeyturnError } from '../../core/errors.ts'
import { argument, type Context } from '../command.ts'
import { cronCheck } from '../cron-check.ts'
import { type ExitCode, exitCodes } from '../exit.ts'

export async function run(context: Context): Promise<ExitCode> {
  const { io, out } = context
  const file = argument(context, 0)
  const check = checkConfig({
    env: io.env,
    cwd: io.cwd,
    readFile: io.readFile,
    ...(await cronCheck()),
    ...(file === '' ? {} : { configPath: resolve(io.cwd, file) }),
  })
  if (check.kind === 'missing') throw new KeyturnError('config_missing', check.message, { fix: check.fix })
  if (check.kind === 'invalid') {
    const { source, problems } = check
    out.result({ valid: false, source, problems }, () => [
      ...problems.map((problem) => describeProblem(source, problem)),
      problems.length === 1 ? '1 problem' : `${problems.length} problems`,
    ])
    return exitCodes.failed
  }
  for (const warning of check.warnings ?? []) out.warn(describeProblem(check.config.source, warning))
  const { source, credentials, federated = [], adminKeys = [] } = check.config
  const names = [...credentials, ...federated].map(({ name }) => name)
  const internal = adminKeys.map(({ name }) => name)
  const shown = [...names, ...internal.map((name) => `${name} (internal)`)].join(', ')
  out.result(
    { valid: true, source, credentials: names, ...(internal.length === 0 ? {} : { internal }) },
    () => [`${source} is valid: ${shown}`],
  )
  return exitCodes.done
}

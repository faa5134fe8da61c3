import { resolve } from 'node:path'
import { type ConfigCheck, checkConfig, describeProblem, inOrder, shownPath } from '../../config/load.ts'
import { dotted } from '../../config/problems.ts'
import type { ConfigProblem } from '../../config/types.ts'
import { KeyturnError } from '../../core/errors.ts'
import { argument, type Context } from '../command.ts'
import { cronCheck } from '../cron-check.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import type { Io } from '../io.ts'

export async function run(context: Context): Promise<ExitCode> {
  const { io, out, options } = context
  const file = argument(context, 0)
  const check = checkConfig({
    env: io.env,
    cwd: io.cwd,
    readFile: io.readFile,
    ...(await cronCheck()),
    ...(file === '' ? {} : { configPath: resolve(io.cwd, file) }),
  })
  if (check.kind === 'missing') throw new KeyturnError('config_missing', check.message, { fix: check.fix })
  const files = check.kind === 'invalid' || options.has('withoutFiles') ? none : await lookAtFiles(check, io)
  const problems = check.kind === 'invalid' ? check.problems : files.problems
  if (check.kind === 'invalid' || problems.length > 0) {
    const source = check.kind === 'invalid' ? check.source : shownPath(check.config.source, io.cwd)
    out.result({ valid: false, source, problems }, () => [
      ...problems.map((problem) => describeProblem(source, problem)),
      problems.length === 1 ? '1 problem' : `${problems.length} problems`,
    ])
    return exitCodes.failed
  }
  for (const warning of inOrder([...(check.warnings ?? []), ...files.warnings]))
    out.warn(describeProblem(check.config.source, warning))
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

const none = { problems: [], warnings: [] }

/** The files that it names, as a start of this user would find them. */
async function lookAtFiles(
  { config, document }: Extract<ConfigCheck, { kind: 'valid' }>,
  io: Io,
): Promise<Record<'problems' | 'warnings', readonly ConfigProblem[]>> {
  const found = await io.lookAtFiles(config, document?.value)
  const ofKind = (isFatal: boolean): readonly ConfigProblem[] =>
    inOrder(
      found
        .filter((one) => one.isFatal === isFatal)
        .map(({ path, message, fix }) => ({ ...document?.place(path), path: dotted(path), message, fix })),
    )
  return { problems: ofKind(true), warnings: ofKind(false) }
}

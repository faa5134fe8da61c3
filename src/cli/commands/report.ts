import { resolve } from 'node:path'
import type { RotationSummary, SignedReport } from '../../api/types.ts'
import { KeyturnError } from '../../core/errors.ts'
import type { Report } from '../../core/report.ts'
import { reportLines } from '../../core/report-text.ts'
import type { Api } from '../api.ts'
import { argument, type Context, usage } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { fold } from '../layout.ts'
import { shellQuoted } from '../text.ts'

export async function run(context: Context): Promise<ExitCode> {
  const { io, out, options } = context
  const file = options.text('output')
  if (options.text('retirement') !== undefined && argument(context, 1) !== '')
    throw usage('a rotation and --retirement exclude each other', 'Leave one of them out.')
  const api = await context.api()
  const document = await fetchReport(context, api)
  const text = `${JSON.stringify(document)}\n`
  if (file === undefined) {
    out.result(document, () =>
      [...reportLines(payloadOf(document)), '', ...hint(context)].flatMap((line) => fold(line, out.columns)),
    )
    return exitCodes.done
  }
  const path = resolve(io.cwd, file)
  if (!io.writeNewFile(path, text, 0o644)) {
    throw new KeyturnError('file_unusable', `there is a file ${path} already`, {
      fix: 'Name another one with --output, or move that one away.',
    })
  }
  const { isFinal, open } = payloadOf(document)
  out.result({ path, isFinal }, () => [
    `wrote ${path}${isFinal ? '' : `; it is not final: ${open.join('; ')}`}`,
    `  check it with 'keyturn report verify ${shellQuoted(file)}'`,
  ])
  return exitCodes.done
}

async function fetchReport(context: Context, api: Api): Promise<SignedReport> {
  const name = argument(context, 0)
  const version = context.options.text('retirement')
  if (version !== undefined) return await api.versionReport(name, version)
  const { id } = findRotation(await api.rotations(name), { name, text: argument(context, 1) })
  return await api.rotationReport(name, id)
}

/** By its id or a unique beginning of it, as `status` shows it; without one, the latest. */
function findRotation(
  rotations: readonly RotationSummary[],
  { name, text }: { readonly name: string; readonly text: string },
): RotationSummary {
  const found = rotations.filter((one) => one.id.startsWith(text))
  const [only] = found
  if (only !== undefined && (text === '' || found.length === 1)) return only
  if (rotations.length === 0)
    throw new KeyturnError('not_found', `no rotation of ${name} is on record, so there is no report`, {
      fix: `Turn it with 'keyturn rotate ${name}'; of a key that was retired otherwise: keyturn report ${name} --retirement VERSION`,
    })
  const what = found.length > 1 ? 'more than one rotation begins like that' : 'there is no such rotation'
  const shown = rotations.slice(0, 5).map((one) => one.id)
  throw new KeyturnError('not_found', `${name}: ${what}`, { fix: `The latest are: ${shown.join(', ')}.` })
}

/** What the service signed a moment ago; whoever gets the document later verifies it. */
function payloadOf({ payload }: SignedReport): Report {
  return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as Report
}

function hint(context: Context): readonly string[] {
  const again = ['keyturn report', ...context.args.filter((one) => one !== '')].join(' ')
  const version = context.options.text('retirement')
  const of = version === undefined ? '' : ` --retirement ${version}`
  return [`This text is not signed. The signed document: ${again}${of} --output report.json`]
}

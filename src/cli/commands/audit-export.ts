import { appendFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Sink } from '../../audit/sink.ts'
import { errnoOf } from '../../core/errno.ts'
import { KeyturnError } from '../../core/errors.ts'
import { Secret } from '../../core/secret.ts'
import { journalsAt } from '../audit-files.ts'
import { argument, type Context, usage } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { filterOf } from './audit-list.ts'

const followMs = 1_000
const rowsPerWrite = 1_000

/** Rows as they stand in the files, which need no service. Each written once; one that failed ends the export and says where to go on. */
export async function run(context: Context): Promise<ExitCode> {
  const { io, out, options } = context
  const [{ pageOf }, { realFiles }] = await Promise.all([
    import('../../audit/journal-reader.ts'),
    import('../../audit/files.ts'),
  ])
  const filter = filterOf(context)
  const journals = await journalsAt(context, argument(context, 0))
  const begin = Number(options.text('after') ?? 0)
  if (!Number.isSafeInteger(begin) || begin < 0)
    throw usage('--after takes the number of a row', 'Leave it out to begin with the first.')
  const target = await targetOf(context)
  // Rows on the terminal show themselves how far they are.
  const isShown = out.isLive && options.text('to') !== undefined && options.text('to') !== 'stdout'
  const reached = new Map(journals.map(({ folder }) => [folder, begin]))
  let isOver = false
  let wake = (): void => undefined
  const cancel = io.onSignal(() => {
    isOver = true
    wake()
  })
  const once = async (): Promise<void> => {
    for (const { folder, paths, isFile } of journals) {
      const only = isFile === true ? { paths } : {}
      for (let isEnd = false; !isEnd && !isOver; ) {
        const after = reached.get(folder) ?? begin
        const page = pageOf({ files: realFiles, folder, ...only, after, limit: rowsPerWrite, filter })
        const text = page.rows.map((row) => `${JSON.stringify(row)}\n`).join('')
        if (text !== '')
          await target.write({ from: after + 1, through: page.through, text }).catch((thrown: unknown) => {
            // Of the system, or of the webhook: never its answer's text.
            const why = errnoOf(thrown)
            throw new KeyturnError(
              'service_unreachable',
              `${target.name} did not take rows after ${after}${why === undefined ? '' : ` (${why})`}`,
              {
                fix: `Look whether it runs and --to leads to it, then go on with --after ${after}.`,
                retryable: true,
                cause: thrown,
              },
            )
          })
        reached.set(folder, page.through)
        if (isShown) out.redraw([`exporting to ${target.name}: through row ${page.through}`])
        ;({ isEnd } = page)
      }
      if (isFile === true && reached.get(folder) === 0)
        throw usage(
          `${paths[0]} holds no row of an audit journal`,
          'Name the folder that audit.sinks has, or one of its files.',
        )
    }
  }
  try {
    await once()
    while (options.has('follow') && !isOver) {
      await new Promise<void>((resolve) => {
        wake = resolve
        io.after(followMs, resolve)
      })
      if (!isOver) await once()
    }
  } finally {
    cancel()
    if (isShown) out.redraw([])
    await target.close()
  }
  return exitCodes.done
}

async function targetOf(context: Context): Promise<Pick<Sink, 'name' | 'write' | 'close'>> {
  const { io, out, options } = context
  const to = options.text('to') ?? 'stdout'
  const close = async (): Promise<void> => undefined
  if (to === 'stdout') return { name: 'standard output', write: async ({ text }) => out.raw(text), close }
  if (/^(udp|tcp|unix):/.test(to)) {
    const { createSyslogSink } = await import('../../audit/syslog-sink.ts')
    return createSyslogSink({ address: to })
  }
  if (/^https?:/.test(to)) {
    const { isSafeUrl } = await import('../../config/fields.ts')
    if (!isSafeUrl(to))
      throw usage('rows go to https:// only, or to http:// on this machine', 'Correct --to.')
    const { createWebhookSink } = await import('../../audit/webhook-sink.ts')
    const file = options.text('bearerFile')
    const secret = file === undefined ? undefined : io.readFile(resolve(io.cwd, file))?.trim()
    if (file !== undefined && (secret ?? '') === '')
      throw usage(`there is no token in ${file}`, 'Correct --bearer-file.')
    return createWebhookSink({
      url: to,
      clock: { now: () => io.now() },
      ...(secret === undefined ? {} : { bearer: async () => new Secret(secret) }),
    })
  }
  const path = resolve(io.cwd, to)
  if (!io.writeNewFile(path, '', 0o600))
    throw new KeyturnError('file_unusable', `there is a file ${path} already`, {
      fix: 'Name another one with --to, or move that one away.',
    })
  return { name: path, write: async ({ text }) => appendFileSync(path, text), close }
}

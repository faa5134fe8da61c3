import { resolve } from 'node:path'
import { KeyturnError } from '../../core/errors.ts'
import { type Context, usage } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { starterConfig, starterNeeds, starterStores } from '../starter-config.ts'

const usualBaseUrl = 'https://api.openai.com/v1'
const idPattern = /^[A-Za-z0-9_-]{1,128}$/

export async function run(context: Context): Promise<ExitCode> {
  const { io, out, options } = context
  const asked = options.text('store') ?? 'local'
  const store = starterStores.find((known) => known === asked)
  if (store === undefined)
    throw usage('there is no such store to begin with', `Use --store ${starterStores.join(', ')}.`)
  const project = idOption(options.text('project'), '--project')
  const serviceAccount = idOption(options.text('serviceAccount'), '--service-account')
  if ((project === undefined) !== (serviceAccount === undefined)) {
    throw usage(
      '--project and --service-account go together',
      'Give both to let Keyturn mint keys, or neither to bring them.',
    )
  }
  const path = resolve(io.cwd, options.text('file') ?? 'keyturn.yaml')
  const minting =
    project === undefined || serviceAccount === undefined ? undefined : { project, serviceAccount }
  const text = starterConfig({ store, minting, baseUrl: await baseUrlOf(io.env['OPENAI_BASE_URL']) })
  if (!io.writeNewFile(path, text, 0o644)) {
    throw new KeyturnError('conflict', `${path} is there already; nothing was changed`, {
      fix: "Look at it with 'keyturn config check', or write another with --file.",
    })
  }
  const needed = starterNeeds[store]
  const first =
    needed === undefined ? [] : [`  write the line '${needed}' in it; keyturn config check looks it over`]
  out.result({ path }, () => [`wrote ${path}`, 'Now:', ...first, ...nextSteps(store, minting !== undefined)])
  return exitCodes.done
}

/** Nobody is told to type a key before a command: the shell keeps what is typed. */
function nextSteps(store: string, isMinting: boolean): string[] {
  const serve = '  keyturn serve                   '
  const status = '  keyturn status openai           shows how it is'
  if (store === 'env') return [`${serve}with OPENAI_API_KEY set, or in .env`, status]
  if (store === 'file') return [`${serve}with the key in that file`, status]
  if (isMinting) return [`${serve}with OPENAI_ADMIN_KEY set; it mints the first key by itself`, status]
  return [
    `${serve}and in another terminal:`,
    '  keyturn bring openai            asks for the key you have',
    status,
  ]
}

/** As `serve` takes it without a configuration; what is not safe to send a key to is not written down. */
async function baseUrlOf(set: string | undefined): Promise<string | undefined> {
  if (set === undefined || set === '' || set === usualBaseUrl) return undefined
  const { isSafeUrl } = await import('../../config/fields.ts')
  if (isSafeUrl(set)) return set
  throw usage(
    'OPENAI_BASE_URL is not an address that a key may be sent to',
    'It needs https:// (http:// only to this machine), without user, query or fragment; or unset it.',
  )
}

function idOption(value: string | undefined, flag: string): string | undefined {
  if (value === undefined || idPattern.test(value)) return value
  throw usage(`${flag} takes an id of OpenAI`, 'Copy it from the settings: letters, digits, - and _ only.')
}

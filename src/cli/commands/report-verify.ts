import { join, resolve } from 'node:path'
import type { Trust, Verification } from '../../audit/verify-report.ts'
import { KeyturnError } from '../../core/errors.ts'
import { reportLines } from '../../core/report-text.ts'
import { argument, type Context, usage } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { faultOf } from '../fault.ts'
import { fold } from '../layout.ts'

/** Whom is trusted, and how that is said. */
interface Trusted {
  readonly trust: Trust
  readonly because: string
}

/** Needs no service: only the file, and a key that came another way than with the file. */
export async function run(context: Context): Promise<ExitCode> {
  const { out, options } = context
  const text = readText(context, argument(context, 0))
  if (text === undefined)
    throw usage(`there is no file ${argument(context, 0)}`, 'Name the file that keyturn report wrote.')
  const { verifyReport } = await import('../../audit/verify-report.ts')
  const { trust, because } = await findTrust(context)
  const found = verifyReport(text, trust)
  if (found.kind !== 'valid') throw refusalOf(found, because)
  const { report, keyId } = found
  out.result({ isValid: true, keyId, report }, () => [
    `signed by installation ${report.installation} on ${report.issuedAt}, unchanged`,
    `  key ${keyId}, trusted because of ${because}`,
    `  ${report.summary}`,
    ...(report.isFinal ? [] : [`  not final when it was signed: ${report.open.join('; ')}`]),
    ...(options.has('show') ? ['', ...reportLines(report).flatMap((line) => fold(line, out.columns))] : []),
  ])
  return exitCodes.done
}

function refusalOf(found: Exclude<Verification, { kind: 'valid' }>, because: string): KeyturnError {
  switch (found.kind) {
    case 'invalid':
      return new KeyturnError('report_invalid', `this is no report as it was signed: ${found.why}`, {
        fix: 'Get the report anew from whoever gave it to you, or from the service: keyturn report NAME --output FILE.',
      })
    case 'other_key':
      return new KeyturnError(
        'signing_key_unknown',
        `it is signed with the key ${found.keyId}, and not with ${found.trusted}, which is trusted because of ${because}`,
        { fix: `If both keys are the installation’s, verify with the right one: ${howToTrust}` },
      )
    case 'untrusted':
      return new KeyturnError(
        'signing_key_unknown',
        `it is signed with the key ${found.keyId}, which came with the document and is not known here: anybody could have made both`,
        {
          fix: `Ask the installation for its key (keyturn report key, or GET /v1/signing-key): ${howToTrust}`,
        },
      )
  }
}

const howToTrust = '--key FILE with the public key, or --key-id ID where you have compared the id.'

/** From --key, --key-id, or the key beside the installation itself. */
export async function findTrust(context: Context): Promise<Trusted> {
  const { options } = context
  const [file, keyId] = [options.text('key'), options.text('keyId')]
  if (file !== undefined && keyId !== undefined)
    throw usage('--key and --key-id exclude each other', 'Leave one of them out.')
  if (keyId !== undefined) return { trust: { kind: 'id', keyId }, because: '--key-id' }
  const path = file ?? (await keyInHome(context))
  const text = path === undefined ? undefined : readText(context, path)
  if (text === undefined) {
    if (file !== undefined) throw usage(`there is no file ${file}`, 'Correct --key.')
    return { trust: { kind: 'nobody' }, because: 'nothing' }
  }
  const { readPublicKey } = await import('../../audit/verify-report.ts')
  const jwk = readPublicKey(text)
  if (jwk !== undefined) return { trust: { kind: 'key', jwk }, because: path ?? '' }
  throw new KeyturnError('file_unusable', `${path} holds no public key of Ed25519`, {
    fix: 'Give the public half as PEM or JWK, as keyturn report key prints it; the private one never leaves its installation.',
  })
}

/** Beside the installation itself its own key is the one to compare with. A configuration that cannot be read is no reason to fail. */
async function keyInHome(context: Context): Promise<string | undefined> {
  try {
    return join((await context.target()).home, 'signing-key.pub')
  } catch (thrown) {
    if (thrown instanceof KeyturnError) return undefined
    throw thrown
  }
}

function readText({ io }: Context, file: string): string | undefined {
  try {
    return io.readFile(resolve(io.cwd, file))
  } catch (thrown) {
    throw faultOf(thrown, 'reading a file failed')
  }
}

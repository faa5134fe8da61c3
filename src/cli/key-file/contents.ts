import type { OpenAICredential } from '../../client/types.ts'
import { KeyturnError } from '../../core/errors.ts'
import { isRecord, parseJson } from '../../core/json.ts'
import { isInDotenv, removeFromDotenv, type Setting, setInDotenv } from './dotenv-lines.ts'

export interface Shape {
  readonly format: 'raw' | 'env' | 'json'
  /** Which variable of a `.env` gets the key. */
  readonly variable: string
}

/** Where programs send a key by themselves. */
const openAI = 'https://api.openai.com/v1'

/** What the file is to hold, `before` being what it holds. Pure. Errors: `config_invalid`, `file_unusable`. */
export function contentsOf(credential: OpenAICredential, before: string | undefined, shape: Shape): string {
  switch (shape.format) {
    case 'raw':
      return credential.apiKey
    case 'json': {
      const { name, apiKey, organization, project, baseUrl, version, fingerprint, generation } = credential
      const shown = { name, apiKey, organization, project, baseUrl, version, fingerprint, generation }
      return `${JSON.stringify(shown, null, 2)}\n`
    }
    case 'env':
      // What the decoder puts in place of bytes that it does not know: written back, these would be gone.
      if (before?.includes('\uFFFD') === true) throw notUtf8()
      return setInDotenv(before ?? '', settingsOf(credential, before ?? '', shape))
  }
}

/**
 * Refuses to put a key in the place of what is neither one nor an answer with one: with raw and json the whole file is
 * replaced, and whoever forgot `--format env` would lose a `.env`. Error: `file_unusable`.
 */
export function assertReplaceable(path: string, before: string, { format }: Pick<Shape, 'format'>): void {
  if (format === 'env' || before.trim() === '' || isAnswer(before) || isOneWord(before)) return
  throw new KeyturnError(
    'file_unusable',
    `${path} holds something else, which a key would take the place of`,
    {
      fix: `For a .env: --format env, which changes the key alone. Else choose another file, or remove this one: rm '${path}'`,
    },
  )
}

function isAnswer(text: string): boolean {
  const found = parseJson(text)
  return isRecord(found) && typeof found['apiKey'] === 'string'
}

/** A word, and no setting; what fills up the end of base64 is none. */
function isOneWord(text: string): boolean {
  return /^\s*[^\s"'#<>[\]{}]+\s*$/.test(text) && !/^\s*[A-Za-z_][\w.-]*=(?!=*\s*$)/.test(text)
}

/** What is left when the key is taken out again; undefined where nothing is. */
export function withoutKey(credential: OpenAICredential, before: string, shape: Shape): string | undefined {
  if (shape.format !== 'env') return undefined
  const left = removeFromDotenv(before, settingsOf(credential, before, shape))
  return left === '' ? undefined : left
}

/** Variables of a `.env` that name an organisation or a project which the credential does not: the key may not belong there. */
export function strayVariables(credential: OpenAICredential, text: string): readonly string[] {
  const named = [
    ['OPENAI_ORG_ID', credential.organization],
    ['OPENAI_PROJECT_ID', credential.project],
  ] as const
  return named.flatMap(([name, value]) => (value === null && isInDotenv(text, name) ? [name] : []))
}

function settingsOf(credential: OpenAICredential, before: string, { variable }: Shape): readonly Setting[] {
  const { apiKey, organization, project, baseUrl } = credential
  const isElsewhere = baseUrl !== openAI || isInDotenv(before, 'OPENAI_BASE_URL')
  return [
    { name: variable, value: apiKey },
    ...(organization === null ? [] : [{ name: 'OPENAI_ORG_ID', value: organization }]),
    ...(project === null ? [] : [{ name: 'OPENAI_PROJECT_ID', value: project }]),
    ...(isElsewhere ? [{ name: 'OPENAI_BASE_URL', value: baseUrl }] : []),
  ]
}

function notUtf8(): KeyturnError {
  return new KeyturnError('file_unusable', 'the .env holds bytes that are no UTF-8, and stays as it is', {
    fix: 'Save it as UTF-8, as all who read such files expect it; or use another file, with --format raw or json.',
  })
}

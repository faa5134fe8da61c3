import type { CredentialAnswer } from '../api/types.ts'
import { isProtected } from './address.ts'
import { limits } from './limits.ts'
import type { OpenAICredential } from './types.ts'
import { isRecord } from './wire.ts'

const inspect = Symbol.for('nodejs.util.inspect.custom')

/** What a source hands over: the credential and how long it may be used without word from the source. */
export interface Handed {
  readonly credential: OpenAICredential
  readonly staleAfterMs: number
}

/** Checks an answer of the service field by field; undefined for anything that is not one. */
export function parseAnswer(value: unknown): Handed | undefined {
  if (!isRecord(value) || !isAnswer(value)) return undefined
  const { staleAfterSeconds, ...fields } = value
  return { credential: sealed(fields), staleAfterMs: staleAfterSeconds * 1000 }
}

/**
 * A credential that can be logged by accident without harm. Spreading and copying it keeps the key; printing it and
 * making it into JSON do not.
 */
export function sealed(fields: OpenAICredential): OpenAICredential {
  const { name, apiKey, organization, project, baseUrl, version, fingerprint, stage, verdict } = fields
  const { verifiedAt, rotatesAt, generation } = fields
  const known = { name, apiKey, organization, project, baseUrl, version, fingerprint, stage, verdict }
  const credential = { ...known, verifiedAt, rotatesAt, generation }
  const shown = () => ({ ...credential, apiKey: '[secret]' })
  Object.defineProperty(credential, 'toJSON', { value: shown })
  Object.defineProperty(credential, inspect, { value: shown })
  return Object.freeze(credential)
}

/** A key goes into a header, so whatever could end the header or hide in it is refused. */
export function isHeaderSafe(value: unknown, lengthMax: number): value is string {
  return typeof value === 'string' && value.length <= lengthMax && /^[\x21-\x7e]+$/.test(value)
}

const texts = ['name', 'baseUrl', 'version', 'fingerprint', 'stage', 'verdict', 'verifiedAt'] as const
/** Sent along with the key, as headers. */
const idsOrNull = ['organization', 'project'] as const

function isAnswer(
  value: Readonly<Record<string, unknown>>,
): value is Readonly<Record<string, unknown>> & CredentialAnswer {
  return (
    isHeaderSafe(value['apiKey'], limits.keyLengthMax) &&
    texts.every((field) => typeof value[field] === 'string') &&
    idsOrNull.every((field) => value[field] === null || isHeaderSafe(value[field], limits.idLengthMax)) &&
    (value['rotatesAt'] === null || typeof value['rotatesAt'] === 'string') &&
    isKeySafe(String(value['baseUrl'])) &&
    Number.isSafeInteger(value['generation']) &&
    typeof value['staleAfterSeconds'] === 'number' &&
    value['staleAfterSeconds'] > 0
  )
}

/** Keyturn itself takes no other base URL from its configuration; somebody on the way might put one in. */
function isKeySafe(baseUrl: string): boolean {
  return URL.canParse(baseUrl) && isProtected(new URL(baseUrl))
}

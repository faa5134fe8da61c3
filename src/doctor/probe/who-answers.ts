import type { PeerCertificate, RawAnswer } from '../network.ts'
import type { Shown } from './shown.ts'

/** Who seems to have sent an answer: what its head and its page say of their origin. */
export function whoAnswers(
  answer: RawAnswer,
  certificate: PeerCertificate | undefined,
  shown: Shown,
): string {
  const { headers, body } = answer
  const location = headers['location']
  const parts = [
    ['Server', headers['server']],
    ['Via', headers['via']],
    ['redirects to', location === undefined ? undefined : hostOf(location)],
    ['page', titleOf(body)],
    ['certificate issuer', certificate?.issuer],
  ] as const
  const told = parts.flatMap(([name, value]) => {
    const text = value === undefined ? '' : shown(value)
    return text === '' ? [] : [`${name} ${name === 'page' ? `“${text}”` : text}`]
  })
  return told.length === 0 ? 'nothing in the answer tells who sent it' : told.join(', ')
}

export function isJson({ body }: RawAnswer): boolean {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null
  } catch {
    // A list of models may well be longer than what is kept of it.
    return /^\s*\{\s*"(?:object|data|models|error)"\s*:/.test(body)
  }
}

/** OpenAI's own answers have an id and are JSON, its refusals as well. */
export function isOfOpenAI(answer: RawAnswer): boolean {
  return answer.headers['x-request-id'] !== undefined && isJson(answer)
}

/** The edge in front of OpenAI answers with a page of its own where OpenAI gives none. */
export function isOfItsEdge({ status, headers }: RawAnswer): boolean {
  return status >= 500 && headers['cf-ray'] !== undefined && /^cloudflare/i.test(headers['server'] ?? '')
}

/** Of a page's first kilobytes; a title is a line, not a book. */
function titleOf(body: string): string | undefined {
  return /<title[^>]{0,100}>([^<]{1,500})/i.exec(body.slice(0, 16_384))?.[1]
}

function hostOf(location: string): string {
  return URL.canParse(location) ? new URL(location).host : 'another path'
}

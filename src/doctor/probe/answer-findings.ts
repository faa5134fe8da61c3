import type { DoctorContext } from '../context.ts'
import type { Finding, Place } from '../finding.ts'
import type { RawAnswer } from '../network.ts'
import { shellWord } from '../shell-word.ts'
import { openaiBaseUrl, type Target, wrongBaseUrl } from './base-url.ts'
import type { Budget } from './budget.ts'
import { askWithoutKey, type Layers, type Way } from './layers.ts'
import type { Shown } from './shown.ts'
import { isJson, isOfItsEdge, isOfOpenAI, whoAnswers } from './who-answers.ts'

interface Judging {
  readonly way: Way
  readonly layers: Layers
  readonly shown: Shown
}

/** Whether somebody else answers, by what came without a key. Undefined: it is who was meant. */
export function answerFinding({ way, layers, shown }: Judging): Finding | undefined {
  if (layers.http?.kind !== 'done') return undefined
  const { answer } = layers.http
  const { target, proxy } = way
  const isMeant = target.kind === 'openai' ? isOfOpenAI(answer) : isJson(answer)
  if (isMeant) return answer.status >= 500 && isOfOpenAI(answer) ? failing(way, answer, shown) : undefined
  if (target.kind === 'openai' && proxy === undefined && isOfItsEdge(answer))
    return failing(way, answer, shown)
  // Nobody's page where a server of one's own is meant to be: the path is wrong, not the server.
  if (target.kind !== 'openai' && answer.status === 404)
    return wrongBaseUrl({
      place: target.place,
      what: `${target.baseUrl}/models is a page that is not there (HTTP 404 without JSON)`,
      right: rightGuess(target),
    })
  const certificate = layers.tls?.kind === 'done' ? layers.tls.answer.certificate : undefined
  const place: Place =
    proxy === undefined
      ? { kind: 'address', url: target.url.origin }
      : { kind: 'variable', name: proxy.variable }
  return {
    code: 'foreign_answer',
    severity: 'error',
    seen: `HTTP ${answer.status} from ${target.url.host} without an answer in OpenAI's form. Who answers: ${whoAnswers(answer, certificate, shown)}.`,
    cause: "A proxy, a captive portal or another server answers in OpenAI's place.",
    fix: `curl -v ${shellWord(`${target.baseUrl}/models`)}`,
    place,
  }
}

/** What rightBaseUrl has already asked for is not told again. */
function rightGuess({ baseUrl, url }: Target): string {
  const guess = `${url.origin}/v1`
  return baseUrl === guess || baseUrl === url.origin ? openaiBaseUrl : guess
}

function failing({ target }: Way, { status, headers }: RawAnswer, shown: Shown): Finding {
  const requestId = headers['x-request-id']
  return {
    code: 'openai_failing',
    severity: 'error',
    seen: `HTTP ${status} from ${target.url.host}, also without a key.`,
    cause: 'OpenAI itself fails, and looks at no key.',
    fix: 'Wait, and look at https://status.openai.com',
    place: { kind: 'address', url: target.url.origin },
    ...(requestId === undefined ? {} : { requestId: shown(requestId) }),
  }
}

/**
 * Where the API is not at the base URL, but beside it on the same server: mostly the `/v1` is missing, or the path of a
 * call stands behind it.
 */
export async function rightBaseUrl(
  context: Pick<DoctorContext, 'network'>,
  { way, layers }: Pick<Judging, 'way' | 'layers'>,
  budget: Budget,
): Promise<Target | undefined> {
  const { target } = way
  if (target.kind === 'openai' || layers.http?.kind !== 'done' || layers.http.answer.status !== 404)
    return undefined
  const path = target.baseUrl.slice(target.url.origin.length)
  const cut = /^.*?\/v1(?=\/)/.exec(path)?.[0]
  for (const other of [
    ...(cut === undefined ? [] : [cut]),
    ...(path.endsWith('/v1') ? [] : [`${path}/v1`]),
  ]) {
    const candidate = { ...target, baseUrl: `${target.url.origin}${other}` }
    const attempt = await askWithoutKey(context, { ...way, target: candidate }, budget.stepMs())
    if (attempt.kind === 'done' && attempt.answer.status !== 404 && isJson(attempt.answer)) return candidate
  }
  return undefined
}

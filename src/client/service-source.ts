import { headers as names, type ReportAnswer, routes } from '../api/types.ts'
import { parseAnswer } from './credential.ts'
import { startDeadline } from './deadline.ts'
import type { KeyturnClientError } from './errors.ts'
import { limits } from './limits.ts'
import type { Platform } from './platform.ts'
import { connectionError, describeService, malformed, type Service } from './service.ts'
import type { Settings } from './settings.ts'
import type { Question, Reply, Source } from './source.ts'
import { followStream } from './stream.ts'
import type { Fetch } from './types.ts'
import { isRecord, parseJson, readText, type Send, sendWith } from './wire.ts'

/** The service over HTTP. `fetch`: the app's own, which then carries the background calls too. */
export function createServiceSource(
  settings: Settings & { readonly url: URL },
  platform: Platform,
  { fetch, isQuiet = false }: { readonly fetch?: Fetch | undefined; readonly isQuiet?: boolean },
): Source {
  const send = isQuiet ? platform.quietSend : sendWith(fetch ?? platform.fetch)
  const service = describeService(settings, platform, fetch === undefined ? platform.quietSend : send)
  const { where } = service
  return {
    where,
    idle: fetch === undefined ? 'held' : 'plain',
    async ask(question) {
      const { isBackground, holdSeconds, timeoutMs } = question
      const deadline = startDeadline(platform, {
        timeoutMs: timeoutMs + (holdSeconds ?? 0) * 1000,
        isBackground,
        parent: question.signal,
        what: `Keyturn at ${where}`,
      })
      try {
        return await ask(service, isBackground ? service.quietSend : send, {
          ...question,
          signal: deadline.signal,
        })
      } catch (error) {
        throw connectionError(error, deadline.signal, service)
      } finally {
        deadline.end()
      }
    },
    async report(refusal, signal) {
      const { version, status, code, requestId } = refusal
      const deadline = startDeadline(platform, {
        timeoutMs: limits.reportTimeoutMs,
        isBackground: false,
        parent: signal,
        what: `Keyturn at ${where}`,
      })
      try {
        const answer = await send({
          url: service.url(routes.reports(settings.credential)),
          method: 'POST',
          headers: {
            ...(await service.headers(undefined, deadline.signal)),
            'content-type': 'application/json',
          },
          body: JSON.stringify({ version, status, code, requestId }),
          signal: deadline.signal,
        })
        if (answer.status >= 300) throw await service.refusal(answer)
        return parseReport(await readText(answer.body, limits.bodyBytesMax)) ?? fail(malformed(service))
      } catch (error) {
        throw connectionError(error, deadline.signal, service)
      } finally {
        deadline.end()
      }
    },
    follow: (follower, current) =>
      // A stream read through a fetch holds the event loop for as long as it is open, and an app that is done must end.
      fetch === undefined ? followStream(service, follower, current) : () => undefined,
    async end(signal) {
      const { credential, instance } = settings
      try {
        const answer = await service.quietSend({
          url: service.url(routes.lease(credential, instance)),
          method: 'DELETE',
          headers: await service.headers(undefined, signal),
          signal,
        })
        if (answer.status >= 300) throw await service.refusal(answer)
      } catch (error) {
        throw connectionError(error, signal, service)
      }
    },
    stop: () => undefined,
  }
}

async function ask(service: Service, send: Send, question: Question): Promise<Reply> {
  const { etag, inFlight, holdSeconds, signal } = question
  const answer = await send({
    url: service.url(routes.credential(service.settings.credential), holdSeconds),
    method: 'GET',
    headers: {
      ...(await service.headers(inFlight, signal)),
      accept: 'application/json',
      ...(etag === undefined ? {} : { 'if-none-match': etag }),
    },
    signal,
  })
  if (answer.status === 304 && etag !== undefined) {
    await readText(answer.body, 0)
    return { kind: 'same', etag }
  }
  if (answer.status !== 200) {
    const error = await service.refusal(answer)
    if (error.code !== 'no_verified_key') throw error
    const generation = answer.header(names.generation) ?? ''
    return { kind: 'none', generation: /^\d{1,15}$/.test(generation) ? Number(generation) : undefined, error }
  }
  const handed = parseAnswer(parseJson(await readText(answer.body, limits.bodyBytesMax)))
  if (handed === undefined) throw malformed(service)
  return { kind: 'answer', answer: { ...handed, etag: answer.header('etag') ?? undefined } }
}

function parseReport(text: string | undefined): ReportAnswer | undefined {
  const value = parseJson(text)
  if (!isRecord(value)) return undefined
  const { generation, version, verdict } = value
  if (typeof generation !== 'number' || typeof verdict !== 'string') return undefined
  return { generation, version: typeof version === 'string' ? version : null, verdict }
}

function fail(error: KeyturnClientError): never {
  throw error
}

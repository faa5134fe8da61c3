import { Agent, request as httpRequest } from 'node:http'
import * as fc from 'fast-check'
import type { Problem } from '../../src/api/types.ts'
import { createAnswerCheck, type SeenAnswer } from './answers.ts'
import { type Described, type OpenApi, routeFor } from './document.ts'
import { type FuzzRequest, type Known, requestsFor } from './requests.ts'

export interface FuzzCaller {
  readonly name: string
  /** The value of `Authorization`; undefined: there is none. */
  readonly authorization: string | undefined
  /** Whether it is known at all: others get nothing but 401 and 429 where somebody is asked who they are. */
  readonly isKnown: boolean
}

export interface FuzzOptions {
  readonly url: string
  readonly document: OpenApi
  readonly callers: readonly FuzzCaller[]
  readonly known: Omit<Known, 'callers'>
  readonly numRuns: number
  readonly seed?: number
  /** Whether a text holds a piece of any key or token. */
  readonly isLeaking: (text: string) => boolean
  /** Codes of problems that may come with a 5xx, because the test brought it about. */
  readonly allowedFaults?: readonly string[]
  /** Called now and then, to change what goes on around the service. */
  readonly between?: (count: number) => Promise<void> | void
}

export interface FuzzResult {
  readonly requests: number
  /** How often each operation was answered with each status. */
  readonly seen: ReadonlyMap<string, ReadonlyMap<number, number>>
}

/** The operations whose answers hold a secret, with the status that does. */
const holdsSecret: Readonly<Record<string, number>> = { getCredential: 200, createToken: 201 }

/** Sends what the document describes and what it forbids, and holds every answer against it. Throws on the first that is wrong. */
export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  const { document, callers, numRuns, seed } = options
  const check = createAnswerCheck(document)
  const seen = new Map<string, Map<number, number>>()
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  let count = 0
  await fc.assert(
    fc.asyncProperty(
      requestsFor(document, { ...options.known, callers: callers.length }),
      async (request) => {
        count += 1
        await options.between?.(count)
        const caller = callers[request.caller]
        if (caller === undefined) throw new Error('no such caller')
        const answer = await send(agent, options.url, request, caller)
        const statuses = seen.get(request.route.operationId) ?? new Map<number, number>()
        seen.set(
          request.route.operationId,
          statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1),
        )
        const route = routeFor(document, request.route.path, request.method)
        const wrong =
          check(route, request.method, answer) ??
          wrongStatus(answer, options.allowedFaults ?? []) ??
          wrongAdmission(route, caller, answer) ??
          leak(route, answer, options.isLeaking)
        // Never the body: it may be what leaked.
        if (wrong !== undefined) throw new Error(`${answer.status} to ${caller.name}: ${wrong}`)
      },
    ),
    { numRuns, ...(seed === undefined ? {} : { seed }), endOnFailure: true },
  )
  agent.destroy()
  return { requests: count, seen }
}

function wrongStatus({ status, body }: SeenAnswer, allowed: readonly string[]): string | undefined {
  if (status < 500) return undefined
  const code = body.startsWith('{') ? (JSON.parse(body) as Partial<Problem>).code : undefined
  // 503 of /readyz, which is no problem but an answer, has no code.
  if (code === undefined)
    return status === 503 && body.startsWith('{"ready":false') ? undefined : 'a 5xx without a code'
  return allowed.includes(code) ? undefined : `a 5xx: ${code}`
}

function wrongAdmission(route: Described | undefined, caller: FuzzCaller, { status }: SeenAnswer) {
  if (caller.isKnown || route === undefined || route.security.length === 0) return undefined
  return status < 400 ? 'nobody knows this caller, and it was answered' : undefined
}

function leak(
  route: Described | undefined,
  { status, headers, body }: SeenAnswer,
  isLeaking: (text: string) => boolean,
): string | undefined {
  if (isLeaking([...headers].join('\n'))) return 'a secret in a header'
  if (route !== undefined && holdsSecret[route.operationId] === status) return undefined
  return isLeaking(body) ? 'a secret in the body' : undefined
}

/** By node:http and not by fetch, which forbids some methods and headers, and mends what shall stay broken. */
function send(agent: Agent, url: string, request: FuzzRequest, caller: FuzzCaller): Promise<SeenAnswer> {
  const { hostname, port } = new URL(url)
  const { method, target, body } = request
  const headers: Record<string, string> = { ...request.headers, host: 'localhost' }
  if (caller.authorization !== undefined) headers['authorization'] = caller.authorization
  if (body !== undefined) {
    headers['content-type'] = 'application/json'
    headers['content-length'] = String(Buffer.byteLength(body))
  }
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ agent, hostname, port, method, path: target, headers }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const seen = new Headers()
        for (let index = 0; index < response.rawHeaders.length; index += 2)
          seen.append(response.rawHeaders[index] ?? '', response.rawHeaders[index + 1] ?? '')
        resolve({ status: response.statusCode ?? 0, headers: seen, body: Buffer.concat(chunks).toString() })
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

// Control of a sandbox in another process. Only for this machine: the Host must be a loopback name, so that a web
// page whose name was pointed here cannot reach it, and so must the caller's address. No answer holds a key value.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Services } from './call.ts'
import { limits } from './defaults.ts'
import { knobsProblem } from './knob-checks.ts'
import { defaultKnobs, type Knobs } from './knobs.ts'
import type { ControlSource, RequestRecord } from './server.ts'

const ROOT = '/_sandbox'

export function isControlPath(url: string): boolean {
  return url === ROOT || url.startsWith(`${ROOT}/`)
}

interface Answer {
  readonly status: number
  readonly body: unknown
}

export async function answerControl(
  request: IncomingMessage,
  response: ServerResponse,
  context: { services: Services; requests: readonly RequestRecord[]; control: ControlSource },
): Promise<void> {
  const { status, body } = isLocal(request)
    ? await route(request, context)
    : problem(403, 'The control routes answer only this machine, under a loopback name.')
  const text = JSON.stringify(body)
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(text)),
    'cache-control': 'no-store',
  })
  response.end(text)
}

async function route(
  request: IncomingMessage,
  context: { services: Services; requests: readonly RequestRecord[]; control: ControlSource },
): Promise<Answer> {
  const { services, requests, control } = context
  const path = (request.url ?? '').slice(ROOT.length)
  const method = request.method ?? 'GET'
  if (path === '/knobs') return knobsRoute(request, services)
  if (path === '/state' && method === 'GET') return { status: 200, body: control.state() }
  if (path === '/requests' && method === 'GET') return { status: 200, body: { requests } }
  const key = /^\/keys\/([\w-]+)$/.exec(path)?.[1]
  if (key !== undefined && method === 'DELETE')
    return control.deleteKey(key)
      ? { status: 200, body: { id: key, deleted: true } }
      : problem(404, `There is no key ${key}.`)
  return problem(404, `There is no ${method} ${ROOT}${path.split('?', 1)[0] ?? ''} in the sandbox.`)
}

async function knobsRoute(request: IncomingMessage, services: Services): Promise<Answer> {
  const { knobs } = services
  const shown = (): Answer => ({ status: 200, body: knobs.current() })
  if (request.method === 'GET') return shown()
  if (request.method === 'DELETE') {
    knobs.reset()
    return shown()
  }
  if (request.method !== 'PUT' && request.method !== 'PATCH')
    return problem(405, 'The knobs take GET, PUT, PATCH and DELETE.')
  const patch = await readJson(request)
  if (patch === undefined) return problem(400, 'The body must be JSON and at most 64 KiB.')
  const wrong = knobsProblem(patch)
  if (wrong !== undefined) return problem(400, wrong)
  knobs.set(
    request.method === 'PUT' ? { ...defaultKnobs, ...(patch as Partial<Knobs>) } : (patch as Partial<Knobs>),
  )
  return shown()
}

function problem(status: number, message: string): Answer {
  return { status, body: { error: { message } } }
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > limits.controlBodyBytesMax) return undefined
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch {
    return undefined
  }
}

function isLocal(request: IncomingMessage): boolean {
  const host = (request.headers.host ?? '').replace(/:\d+$/, '')
  const address = request.socket.remoteAddress ?? ''
  return ['localhost', '127.0.0.1', '[::1]'].includes(host) && /^(?:::ffff:)?127\.|^::1$/.test(address)
}

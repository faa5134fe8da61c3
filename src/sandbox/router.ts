// From a path to a route, through authentication, to a reply.

import { insightRoutes } from './admin-insight.ts'
import { keyRoutes } from './admin-keys.ts'
import { projectRoutes } from './admin-projects.ts'
import { authenticate } from './authenticate.ts'
import type { AuthenticCall, Call, Reply, Route } from './call.ts'
import { refuse } from './call.ts'
import { chatRoutes } from './chat.ts'
import { type ApiError, badRequest, invalidUrl, methodNotAllowed } from './errors.ts'
import { modelRoutes } from './model-routes.ts'
import type { KeyRecord } from './records.ts'
import { responseRoutes } from './responses.ts'

const routes: readonly Route[] = [
  ...modelRoutes,
  ...chatRoutes,
  ...responseRoutes,
  ...projectRoutes,
  ...keyRoutes,
  ...insightRoutes,
]

export interface Dispatched {
  readonly reply: Reply
  /** The key that was accepted, if one was. */
  readonly key: KeyRecord | undefined
  readonly route: Route | undefined
}

/** `lateBy` tells by how much a write of this route lands late. */
export function dispatch(call: Call, rawBody: string, lateBy: (route: Route) => number): Dispatched {
  const matches = routes.flatMap((route) => {
    const parameters = match(route.pattern, call.path)
    return parameters === undefined ? [] : [{ route, parameters }]
  })
  const hit = matches.find(({ route }) => route.method === call.method)
  const none = { key: undefined, route: hit?.route }
  if (matches.length === 0) return { ...none, reply: refuse(invalidUrl(call.method, call.path)) }
  if (hit === undefined) return { ...none, reply: refuse(methodNotAllowed(call.method, call.path)) }

  const { route, parameters } = hit
  const authentication = authenticate({ ...call, parameters }, route)
  if (authentication.kind === 'refused') return { ...none, reply: refuse(authentication.error) }
  const { key } = authentication.call
  call.services.world.noteUse(key, call.at)
  const body = readBody(call, rawBody)
  if ('error' in body) return { key, route, reply: refuse(body.error) }
  const authentic = { ...authentication.call, body: body.value, landsAt: call.at + lateBy(route) }
  return { key, route, reply: run(authentic, route) }
}

function run(call: AuthenticCall, route: Route): Reply {
  const { limiter, world } = call.services
  if (route.area === 'admin') {
    const throttled = limiter.takeAdmin({
      organization: call.key.organization,
      at: call.at,
      knobs: call.knobs,
    })
    if (throttled !== undefined) return refuse(throttled)
  }
  return route.family === undefined ? route.handle(call) : world.batch(() => route.handle(call))
}

function match(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = `/v1${pattern}`.split('/')
  const given = path.split('/')
  if (wanted.length !== given.length) return undefined
  const parameters: Record<string, string> = {}
  for (const [index, segment] of wanted.entries()) {
    const value = given[index] ?? ''
    if (segment.startsWith(':')) {
      if (value === '') return undefined
      parameters[segment.slice(1)] = decode(value)
    } else if (segment !== value) return undefined
  }
  return parameters
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

function readBody(call: Call, raw: string): { value: unknown } | { error: ApiError } {
  if (raw === '') return { value: undefined }
  const type = call.headers['content-type'] ?? ''
  if (!/^application\/(?:[a-z.-]+\+)?json\b/i.test(type))
    return {
      error: badRequest(
        `Unsupported content type: '${type}'. This API method only accepts 'application/json' requests, but you specified the header 'Content-Type: ${type}'. Please try again with a supported content type.`,
        null,
        'unsupported_content_type',
      ),
    }
  try {
    return { value: JSON.parse(raw) }
  } catch {
    return {
      error: badRequest(
        'We could not parse the JSON body of your request. (HINT: This likely means you aren’t using your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)',
      ),
    }
  }
}

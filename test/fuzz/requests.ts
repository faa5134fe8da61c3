import * as fc from 'fast-check'
import { type OpenApi, type Route, resolveSchema, type Schema } from './document.ts'

export interface FuzzRequest {
  readonly route: Route
  readonly method: string
  /** Path and query as they are sent. */
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
  /** Which caller asks, by its place in the list of callers. */
  readonly caller: number
}

export interface Known {
  /** Names of credentials and ids that exist, so that not every request ends at "there is none". */
  readonly values: Readonly<Record<string, readonly string[]>>
  readonly callers: number
  /** Routes that are left out, each with its reason. */
  readonly skipped: Readonly<Record<string, string>>
}

/** What programs trip over, in whatever place of a request it stands. */
const nasty: readonly string[] = [
  '',
  ' ',
  '%',
  '%00',
  '..',
  '../../etc/passwd',
  '{name}',
  '__proto__',
  'constructor',
  '\u0000',
  '\ufeff',
  '\u202e',
  '\ud800',
  '💥',
  "' OR 1=1 --",
  '<script>',
  '-1',
  '1e999',
  'NaN',
  'x'.repeat(600),
  'true',
]

/** Requests as the document describes them, and such as it forbids. */
export function requestsFor(document: OpenApi, known: Known): fc.Arbitrary<FuzzRequest> {
  const routes = routesIn(document, known)
  return fc.constantFrom(...routes).chain((route) =>
    fc.record({
      route: fc.constant(route),
      method: fc.oneof(
        { weight: 20, arbitrary: fc.constant(route.method) },
        fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'),
      ),
      target: targetOf(route, known),
      headers: headersOf(route),
      body: bodyOf(document, route),
      caller: fc.nat({ max: known.callers - 1 }),
    }),
  )
}

function routesIn(document: OpenApi, known: Known): readonly Route[] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item)
      .filter(([, described]) => !(described.operationId in known.skipped))
      .map(([method, described]) => ({
        ...described,
        method: method.toUpperCase(),
        path,
        isOpen: described.security.length === 0,
      })),
  )
}

const oddText = fc.oneof(
  fc.constantFrom(...nasty),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ maxLength: 40 }),
)

function targetOf(route: Route, known: Known): fc.Arbitrary<string> {
  const parts = (route.parameters ?? []).filter((each) => each.in === 'path')
  const queries = (route.parameters ?? []).filter((each) => each.in === 'query')
  const values = parts.map(({ name }) =>
    fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(...(known.values[name] ?? ['x'])) },
      { weight: 1, arbitrary: oddText },
    ),
  )
  const query = fc.tuple(
    ...queries.map(({ schema }) => fc.option(fc.oneof(scalarText(schema), oddText), { freq: 2 })),
  )
  const extra = seldom(fc.tuple(oddText, oddText))
  return fc.tuple(fc.tuple(...values), query, extra).map(([filled, asked, more]) => {
    let path = route.path
    for (const [index, { name }] of parts.entries())
      path = path.replace(`{${name}}`, encoded(filled[index] ?? ''))
    const pairs = queries.flatMap(({ name }, index) => {
      const value = asked[index] ?? undefined
      return value === undefined ? [] : [`${name}=${encoded(value)}`]
    })
    if (more !== undefined) pairs.push(more.map(encoded).join('='))
    return pairs.length === 0 ? path : `${path}?${pairs.join('&')}`
  })
}

function seldom<Value>(arbitrary: fc.Arbitrary<Value>): fc.Arbitrary<Value | undefined> {
  return fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary })
}

/** Lone surrogates have no encoding; what a careless client makes of them is sent instead. */
function encoded(text: string): string {
  return encodeURIComponent(text.toWellFormed())
}

function scalarText(schema: Schema): fc.Arbitrary<string> {
  if (schema.type === 'integer') return fc.integer({ min: -1, max: 2 }).map(String)
  return fc.string({ maxLength: 20 })
}

function headersOf(route: Route): fc.Arbitrary<Readonly<Record<string, string>>> {
  const names = (route.parameters ?? []).filter((each) => each.in === 'header').map(({ name }) => name)
  // What a header may hold at all: a client library would refuse to send the rest.
  const value = fc
    .oneof(oddText, fc.stringMatching(/^[\x21-\x7e]{1,140}$/), fc.integer().map(String))
    .map((text) => text.replaceAll(/[^\x20-\x7e]/g, '?').trim())
  return fc.dictionary(fc.constantFrom(...names, 'accept', 'range', 'if-match', 'content-language'), value, {
    maxKeys: 3,
  })
}

function bodyOf(document: OpenApi, route: Route): fc.Arbitrary<string | undefined> {
  const schema = route.requestBody?.content['application/json']?.schema
  const odd = fc.oneof(fc.json({ maxDepth: 3 }), oddText)
  if (schema === undefined) return seldom(odd)
  const good = valuesOf(document, schema)
  return fc.oneof(
    { weight: 6, arbitrary: good.map((value) => JSON.stringify(value)) },
    { weight: 3, arbitrary: spoiled(good).map((value) => JSON.stringify(value)) },
    { weight: 1, arbitrary: odd },
    { weight: 1, arbitrary: fc.constant(undefined) },
  )
}

/** A good body with one thing wrong: a field more, one less, or one of another kind. */
function spoiled(good: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  const wrong = fc.oneof(
    oddText,
    fc.constantFrom(null, [], {}, -1, 1.5, 1e300, true),
    fc.jsonValue({ maxDepth: 2 }),
  )
  return fc
    .tuple(good, fc.nat(), wrong, fc.constantFrom('replace', 'remove', 'add'))
    .map(([value, at, thing, how]) => {
      if (typeof value !== 'object' || value === null) return thing
      const copy: Record<string, unknown> = { ...value }
      const names = Object.keys(copy)
      const name = names[at % Math.max(1, names.length)]
      if (how === 'remove' && name !== undefined) delete copy[name]
      else if (how === 'replace' && name !== undefined) copy[name] = thing
      else copy[typeof thing === 'string' ? thing : 'extra'] = thing
      return copy
    })
}

/** Values that fit a schema. Knows as much of JSON Schema as bodies of requests use, and fails on anything else. */
export function valuesOf(document: OpenApi, unresolved: Schema): fc.Arbitrary<unknown> {
  const schema = resolveSchema(document, unresolved)
  if (schema.const !== undefined) return fc.constant(schema.const)
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum)
  const either = schema.anyOf ?? schema.oneOf
  if (either !== undefined) return fc.oneof(...either.map((one) => valuesOf(document, one)))
  switch (schema.type) {
    case 'object': {
      const fields = Object.entries(schema.properties ?? {}).map(([name, one]) => [
        name,
        valuesOf(document, one),
      ])
      const model = Object.fromEntries(fields) as Record<string, fc.Arbitrary<unknown>>
      return fc.record(model, { requiredKeys: [...(schema.required ?? [])] })
    }
    case 'array': {
      const { minItems = 0, maxItems = 5, items = {} } = schema
      return fc.array(valuesOf(document, items), { minLength: minItems, maxLength: Math.min(maxItems, 5) })
    }
    case 'string':
      return textsOf(schema)
    case 'integer':
      return fc.integer({
        min: schema.minimum ?? -1_000,
        max: Math.min(schema.maximum ?? 1_000, 2 ** 31 - 1),
      })
    case 'number':
      return fc.double({ min: schema.minimum ?? -1e3, max: schema.maximum ?? 1e3, noNaN: true })
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    default:
      throw new Error(`a schema that this fuzzer does not know: ${JSON.stringify(schema)}`)
  }
}

function textsOf({ pattern, minLength = 0, maxLength = 100 }: Schema): fc.Arbitrary<string> {
  if (pattern === undefined) return fc.string({ minLength, maxLength: Math.min(maxLength, 100) })
  return fc
    .stringMatching(new RegExp(pattern))
    .filter((text) => text.length >= minLength && text.length <= maxLength)
}

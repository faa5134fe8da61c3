import { z } from 'zod'
import * as alertAnswers from './alert-answers.ts'
import * as answers from './answers.ts'
import * as evidence from './evidence-answers.ts'
import { type Operation, type OperationId, operations } from './operations.ts'
import { refusalsOf } from './refusals.ts'
import * as bodies from './validators.ts'

type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }
type JsonObject = { readonly [name: string]: Json }

const problemAnswer: JsonObject = {
  description: 'An error, as RFC 9457 problem+json with a stable code and a fix',
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
}

const headerTexts: Readonly<Record<string, string>> = {
  'If-None-Match': 'An ETag: 304 while the credential is still the same.',
  'Keyturn-Instance': 'A stable id of the calling process, 1 to 128 visible characters; keeps a lease.',
  'Keyturn-Generation-In-Flight': 'The oldest generation that requests of this process still use.',
  'Last-Event-ID': 'Replays the events after this one.',
  'Idempotency-Key': '1 to 128 visible characters: a repeat with the same body gets the first answer.',
}

const queryTexts: Readonly<Record<string, JsonObject>> = {
  wait: {
    description: 'Waits up to so many seconds for an answer that differs from If-None-Match.',
    schema: { type: 'integer', minimum: 0, maximum: bodies.waitSecondsMax },
  },
  names: {
    description: 'Only these: names with commas between. Those that the caller may not read are left out.',
    schema: { type: 'string' },
  },
  version: {
    description: 'A version id, a unique beginning of one, or a fingerprint. Default: what is current.',
    schema: { type: 'string', maxLength: 128 },
  },
  scope: {
    description: '`replica`: 503 only where this replica lacks a key that others can have.',
    schema: { type: 'string', enum: ['replica'] },
  },
  after: {
    description: 'Rows after the one of this number.',
    schema: { type: 'integer', minimum: 0 },
  },
  limit: {
    description: 'So many rows at most. Default: 100.',
    schema: { type: 'integer', minimum: 0, maximum: 1_000 },
  },
  kind: {
    description: 'Only rows of this kind: read, act, refusal or journal.',
    schema: { type: 'string', maxLength: 64 },
  },
  action: { description: 'Only rows of this action.', schema: { type: 'string', maxLength: 64 } },
  outcome: { description: 'Only rows of this outcome.', schema: { type: 'string', maxLength: 64 } },
  credential: { description: 'Only rows of this credential.', schema: { type: 'string', maxLength: 63 } },
  caller: {
    description: 'Only rows of the caller of this id or name.',
    schema: { type: 'string', maxLength: 200 },
  },
  since: {
    description: 'Only rows from this instant on.',
    schema: { type: 'string', format: 'date-time' },
  },
  until: {
    description: 'Only rows before this instant.',
    schema: { type: 'string', format: 'date-time' },
  },
}

/** The contract as an OpenAPI 3.1 document, made from `operations` and the schemas of bodies and answers. */
export function openApiDocument(version: string): JsonObject {
  const paths: Record<string, Record<string, Json>> = {}
  for (const [id, operation] of Object.entries<Operation>(operations) as [OperationId, Operation][]) {
    paths[operation.path] ??= {}
    const item = paths[operation.path]
    if (item !== undefined) item[operation.method.toLowerCase()] = describeOperation(id, operation)
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Keyturn',
      version,
      description: 'Hands out an OpenAI API key that works, and turns it.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      schemas: componentSchemas(),
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          description:
            'A token (`kt_…`). The roles named at each route are the grants of which one is needed.',
        },
      },
    },
  }
}

function describeOperation(id: OperationId, operation: Operation): JsonObject {
  const parameters = parametersOf(operation)
  return {
    operationId: id,
    summary: operation.summary,
    security: securityOf(operation),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(operation.body === undefined
      ? {}
      : {
          requestBody: {
            required: operation.isBodyRequired === true,
            content: { 'application/json': { schema: reference(operation.body) } },
          },
        }),
    responses: responsesOf(operation),
    'x-keyturn-refusals': refusalsOf(id, operation),
  }
}

function securityOf(operation: Operation): Json {
  const { access } = operation
  if (access === 'open') return []
  if (access === 'seen') return [{ bearer: [] }]
  return typeof access === 'string' ? [{ bearer: [access] }] : access.map((grant) => ({ bearer: [grant] }))
}

function parametersOf(operation: Operation): readonly JsonObject[] {
  const inPath = [...operation.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }))
  const inQuery = (operation.query ?? []).map((name) => ({ name, in: 'query', ...queryTexts[name] }))
  const inHeader = (operation.requestHeaders ?? []).map((name) => ({
    name,
    in: 'header',
    description: headerTexts[name] ?? name,
    schema: { type: 'string' },
  }))
  return [...inPath, ...inQuery, ...inHeader]
}

function responsesOf(operation: Operation): JsonObject {
  const mediaType = operation.mediaType ?? 'application/json'
  const schema = operation.answer === undefined ? {} : reference(operation.answer)
  const isHandOut = operation.path === operations.getCredential.path
  return {
    [String(operation.status)]: {
      description: operation.summary,
      ...(operation.status === 204 ? {} : { content: { [mediaType]: { schema } } }),
    },
    ...(isHandOut ? { '304': { description: 'Still the same as If-None-Match says' } } : {}),
    ...(operation.path === operations.getReadiness.path
      ? { '503': { description: 'Not ready', content: { 'application/json': { schema } } } }
      : {}),
    default: problemAnswer,
  }
}

function reference(schema: z.ZodType): JsonObject {
  const id = z.globalRegistry.get(schema)?.id
  return id === undefined ? {} : { $ref: `#/components/schemas/${id}` }
}

const place = '#/components/schemas/'

/** Only our own schemas, by name: the registry of zod is shared with whatever else runs in the process. */
function componentSchemas(): JsonObject {
  const registry = z.registry<{ id?: string }>()
  for (const schema of [answers, evidence, alertAnswers, bodies].flatMap((each) =>
    Object.values<unknown>(each),
  ))
    if (schema instanceof z.ZodType) {
      const id = z.globalRegistry.get(schema)?.id
      if (id !== undefined) registry.add(schema, { id })
    }
  const { schemas } = z.toJSONSchema(registry, { uri: (id) => `${place}${id}`, io: 'input' })
  // What answers hold and do not export, zod puts beside them, under a reference that nothing outside zod resolves.
  const text = JSON.stringify(schemas).replaceAll(`${place}__shared#/$defs/`, place)
  const { __shared: shared, ...plain } = JSON.parse(text) as Record<string, Record<string, Json>>
  const all = { ...plain, ...(shared?.['$defs'] as typeof plain | undefined) }
  return Object.fromEntries(
    Object.entries(all).map(([id, { $schema: _dialect, $id: _id, id: _name, ...schema }]) => [id, schema]),
  )
}

import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import type { Described, OpenApi, Schema } from './document.ts'

export interface SeenAnswer {
  readonly status: number
  readonly headers: Headers
  readonly body: string
}

/** Says what of an answer the document does not allow; undefined where it does. */
export type CheckAnswer = (
  /** Undefined: the document has no such method there. */
  route: Described | undefined,
  method: string,
  answer: SeenAnswer,
) => string | undefined

/**
 * Holds answers against the document. A field that the document does not have counts as wrong: what leaks is rarely a field
 * that somebody wrote down.
 */
export function createAnswerCheck(document: OpenApi): CheckAnswer {
  const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true })
  ajv.addSchema({ $id: 'document', components: closed(document.components) })
  const compiled = new Map<string, ValidateFunction>()
  const validatorOf = (schema: Schema): ValidateFunction => {
    const key = JSON.stringify(schema)
    const found = compiled.get(key)
    if (found !== undefined) return found
    const made = ajv.compile(JSON.parse(key.replaceAll('#/components', 'document#/components')))
    compiled.set(key, made)
    return made
  }
  return (route, method, { status, headers, body }) => {
    if (headers.get('x-content-type-options') !== 'nosniff') return 'nosniff is missing'
    if (headers.get('cache-control') !== 'no-store') return 'it may be cached'
    for (const [name] of headers) if (name.startsWith('access-control-')) return `it has ${name}`
    if (route === undefined && status < 400) return `${method} is not in the document and was answered`
    if (status === 204 || status === 304 || method === 'HEAD')
      return body === '' ? undefined : 'it has a body'
    const problem = document.components.schemas['Problem']
    const described = route?.responses[String(status)]
    if (described === undefined && status < 400) return 'the document has no such status'
    const type = (headers.get('content-type') ?? '').split(';')[0] ?? ''
    // A status with an answer of its own, such as 503 of /readyz, may be a problem as well.
    const schema =
      described?.content?.[type]?.schema ?? (type === 'application/problem+json' ? problem : undefined)
    if (schema === undefined) return `the document does not have ${type} there`
    if (!type.endsWith('json')) return undefined
    const validate = validatorOf(schema)
    return validate(JSON.parse(body)) ? undefined : ajv.errorsText(validate.errors)
  }
}

function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed)
  if (typeof value !== 'object' || value === null) return value
  const copy = Object.fromEntries(Object.entries(value).map(([name, each]) => [name, closed(each)]))
  const isObject = 'properties' in copy && copy['type'] === 'object'
  return isObject && !('additionalProperties' in copy) ? { ...copy, additionalProperties: false } : copy
}

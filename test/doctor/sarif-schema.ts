import { Ajv } from 'ajv'
import { findingsMax } from '../../src/doctor/examine.ts'

/**
 * What the doctor's SARIF may have, closed: a field that is not here is a mistake. In our own words, since the schema of SARIF 2.1.0
 * is OASIS's and not ours to pass on; all findings of the planted projects were held against it as well (errata 01, 2026-11). Beside
 * the standard it demands what code scanning of GitHub does: each result has a rule, a text, and one place with a relative path and a
 * line; a rule has 20 tags at most, a run 25,000 results ("SARIF support for code scanning" and "results exceed limit", 2026-11).
 */
const text = { type: 'string', minLength: 1 }

function closed(properties: object, optional: readonly string[] = []): object {
  const required = Object.keys(properties).filter((name) => !optional.includes(name))
  return { type: 'object', properties, required, additionalProperties: false }
}

const message = closed({ text })
const level = { enum: ['error', 'warning', 'note'] }
/** A path within the repository: no scheme, no host, no way up or out, nothing that is not one of a URI. */
const uri = {
  type: 'string',
  pattern: String.raw`^(?:\.|(?!\.{1,2}(?:/|$))(?:[\w.~!*'()-]|%[0-9A-F]{2})+(?:/(?!\.{1,2}(?:/|$))(?:[\w.~!*'()-]|%[0-9A-F]{2})+)*)$`,
}
const position = { type: 'integer', minimum: 1 }

const rule = closed({
  id: { type: 'string', pattern: '^[a-z0-9_]{1,255}$' },
  name: text,
  shortDescription: closed({ text: { type: 'string', minLength: 1, maxLength: 1_024 } }),
  helpUri: { type: 'string', pattern: '^urn:keyturn:finding:[a-z0-9_]+$' },
  help: closed({ text, markdown: text }),
  defaultConfiguration: closed({ level }),
  properties: closed({
    tags: { type: 'array', items: text, uniqueItems: true, maxItems: 20 },
    precision: { enum: ['very-high', 'high', 'medium', 'low'] },
  }),
})

const location = closed(
  {
    physicalLocation: closed({
      artifactLocation: closed({ uri, uriBaseId: { const: 'SRCROOT' } }),
      region: closed({ startLine: position, startColumn: position }, ['startColumn']),
    }),
    logicalLocations: {
      type: 'array',
      minItems: 1,
      maxItems: 1,
      items: closed({ fullyQualifiedName: text, kind: text }),
    },
  },
  ['logicalLocations'],
)

const result = closed({
  ruleId: text,
  ruleIndex: { type: 'integer', minimum: 0 },
  level,
  message,
  locations: { type: 'array', items: location, minItems: 1, maxItems: 1 },
  partialFingerprints: closed({ 'keyturnFinding/v1': { type: 'string', pattern: '^[0-9a-f]{32}$' } }),
  properties: closed(
    { fix: text, keyFingerprint: { type: 'string', pattern: '^[0-9a-f]{12}$' }, requestId: text },
    ['keyFingerprint', 'requestId'],
  ),
})

const run = closed({
  tool: closed({
    driver: closed({
      name: { const: 'keyturn doctor' },
      semanticVersion: { type: 'string', pattern: String.raw`^\d+\.\d+\.\d+` },
      rules: { type: 'array', items: rule, uniqueItems: true },
    }),
  }),
  columnKind: { const: 'utf16CodeUnits' },
  originalUriBaseIds: closed({ SRCROOT: closed({ description: message }) }),
  invocations: {
    type: 'array',
    minItems: 1,
    maxItems: 1,
    items: closed({
      executionSuccessful: { type: 'boolean' },
      startTimeUtc: { type: 'string', pattern: String.raw`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$` },
      toolExecutionNotifications: { type: 'array', items: closed({ level, message }) },
    }),
  },
  results: { type: 'array', items: result, maxItems: Math.min(findingsMax, 25_000) },
})

const log = closed({
  $schema: { type: 'string', pattern: '^https://' },
  version: { const: '2.1.0' },
  runs: { type: 'array', items: run, minItems: 1, maxItems: 1 },
})

const validate = new Ajv({ strict: true, allErrors: true }).compile(log)

/** What is wrong with the document as it would be printed; empty where code scanning would take it. */
export function sarifProblems(sarif: object): readonly string[] {
  if (validate(JSON.parse(JSON.stringify(sarif)))) return []
  return (validate.errors ?? []).map(({ instancePath, message, params }) =>
    'additionalProperty' in params
      ? `${instancePath} has no field ${params['additionalProperty']}`
      : `${instancePath} ${message}`,
  )
}

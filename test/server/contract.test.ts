import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { type Operation, operations } from '../../src/api/operations.ts'
import { routes } from '../../src/api/types.ts'
import { startServer } from './harness.ts'

const contract: readonly Operation[] = Object.values(operations)

/** The paths of api/types.ts in the notation of OpenAPI. */
const paths: readonly string[] = Object.entries(routes)
  .flatMap(([name, route]) => {
    if (typeof route === 'string') return [route]
    if (name === 'rotationAct')
      return (['pause', 'resume', 'abort'] as const).map((act) => routes.rotationAct('N', 'I', act))
    return [(route as (...parts: string[]) => string)('N', secondOf(name))]
  })
  .map((path) =>
    path
      .replace('/credentials/N', '/credentials/{name}')
      .replace('/rotations/I', '/rotations/{id}')
      .replace('/approvals/I', '/approvals/{id}')
      .replace('/tokens/N', '/tokens/{id}')
      .replace('/versions/V', '/versions/{version}')
      .replace('/leases/L', '/leases/{instance}'),
  )

function secondOf(name: string): string {
  if (name.startsWith('rotation') || name === 'approval') return 'I'
  return name === 'lease' ? 'L' : 'V'
}

interface Described {
  readonly operationId: string
  readonly security: readonly unknown[]
  readonly parameters?: readonly { readonly name: string; readonly in: string }[]
  readonly responses: Readonly<Record<string, unknown>>
}
interface Document {
  readonly openapi: string
  readonly info: { readonly title: string; readonly version: string }
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> }
}

async function fetchDocument(): Promise<Document> {
  const harness = await startServer()
  const response = await fetch(`${harness.url}/openapi.json`)
  expect(response.headers.get('content-type')).toContain('application/json')
  return (await response.json()) as Document
}

describe('the contract', () => {
  it('serves each route that clients know, and documents it', async () => {
    const manual = await readFile(new URL('../../docs/api.md', import.meta.url), 'utf8')
    const document = await fetchDocument()
    for (const path of paths) {
      expect(contract.map((operation) => operation.path)).toContain(path)
      expect(Object.keys(document.paths)).toContain(path)
    }
    for (const { method, path } of contract) {
      expect(manual, `${method} ${path} in docs/api.md`).toContain(`\`${method} ${path}\``)
      expect(Object.keys(document.paths[path] ?? {})).toContain(method.toLowerCase())
    }
  })

  it('is an OpenAPI 3.1 document without loose ends', async () => {
    const document = await fetchDocument()
    expect([document.openapi, document.info]).toEqual([
      '3.1.0',
      expect.objectContaining({ title: 'Keyturn', version: '1.2.3' }),
    ])
    const ids: string[] = []
    for (const [path, item] of Object.entries(document.paths))
      for (const operation of Object.values(item)) {
        ids.push(operation.operationId)
        const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
        const declared = (operation.parameters ?? [])
          .filter((each) => each.in === 'path')
          .map(({ name }) => name)
        expect(declared).toEqual(named)
        expect(Object.keys(operation.responses)).toContain('default')
      }
    expect(new Set(ids).size).toBe(ids.length)
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)]
    expect(references.length).toBeGreaterThan(20)
    for (const [, name = ''] of references) expect(Object.keys(document.components.schemas)).toContain(name)
    // Written in any other way a reference leads nowhere.
    expect(JSON.stringify(document).split('"$ref":').length - 1).toBe(references.length)
  })

  it('answers with the fields that it documents, and no others', async () => {
    const document = await fetchDocument()
    const harness = await startServer()
    const answers = {
      CredentialAnswer: await harness.get('/v1/credentials/openai'),
      RotationSummary: await harness.send('POST', '/v1/credentials/openai/rotations'),
      CredentialSummary: await harness.send('POST', '/v1/credentials/openai/verifications'),
      TokenAnswer: await harness.send('POST', '/v1/tokens', { name: 'x', role: 'operator' }),
      SignedReport: await harness.send('GET', '/v1/credentials/openai/rotations/rotation-1/report'),
      SigningKeyAnswer: await harness.get('/v1/signing-key'),
      Readiness: await harness.get('/readyz'),
      Problem: await harness.get('/nope'),
    }
    for (const [name, response] of Object.entries(answers)) {
      const { properties, required } = document.components.schemas[name] as {
        readonly properties: Record<string, unknown>
        readonly required: readonly string[]
      }
      const fields = Object.keys((await response.json()) as object)
      // What is optional is there only where it says something; no answer of this harness is out of the ordinary.
      expect(fields.sort(), name).toEqual(
        Object.keys(properties)
          .filter((field) => required.includes(field) || fields.includes(field))
          .sort(),
      )
      for (const field of required) expect(fields, name).toContain(field)
    }
  })
})

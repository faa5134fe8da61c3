import type { FastifyReply, FastifyRequest } from 'fastify'
import type { OperationId } from '../api/operations.ts'
import { assert, KeyturnError } from '../core/errors.ts'
import { looksLikeKey } from '../core/key-shape.ts'
import { type Report, reportType } from '../core/report.ts'
import { reportLines } from '../core/report-text.ts'
import { versionIdPattern } from '../core/types.ts'
import type { ServerContext } from './context.ts'
import type { Handler } from './routes.ts'

/** Signed as JSON; as text for people, which is told to be unsigned. */
export function reportHandlers(context: ServerContext) {
  const { service, signer } = context
  const send = async (request: FastifyRequest, reply: FastifyReply, report: Report): Promise<unknown> => {
    const { keyId } = await signer.publicKey()
    if (wantsText(request)) {
      const lines = [...reportLines(report), '', unsignedNote(keyId), '']
      return reply.type('text/plain; charset=utf-8').send(lines.join('\n'))
    }
    const payload = JSON.stringify(report)
    assert(!looksLikeKey(payload), 'a report holds nothing that looks like a key')
    const document = await signer.sign(payload, reportType)
    return reply.type('application/json; charset=utf-8').send(JSON.stringify(document))
  }
  return {
    getRotationReport: async ({ request, reply, name }) =>
      send(request, reply, await service.rotationReport(name, idIn(request, 'id', 'rotation'))),
    getVersionReport: async ({ request, reply, name }) =>
      send(request, reply, await service.versionReport(name, idIn(request, 'version', 'version'))),
    getSigningKey: async () => signer.publicKey(),
  } satisfies Partial<Record<OperationId, Handler>>
}

function unsignedNote(keyId: string): string {
  return `This text is not signed. The same as a document signed with the key ${keyId}: ask for application/json.`
}

function wantsText({ headers }: FastifyRequest): boolean {
  return /\btext\/plain\b/.test(headers.accept ?? '')
}

function idIn(request: FastifyRequest, name: string, what: string): string {
  const id = (request.params as Readonly<Record<string, string>>)[name] ?? ''
  if (versionIdPattern.test(id)) return id
  throw new KeyturnError('not_found', `There is no such ${what}.`, {
    fix: 'List them first, and use an id from there.',
  })
}

import type { OperationId } from '../api/operations.ts'
import type { ApprovalOutcome } from '../api/types.ts'
import { noBody } from '../api/validators.ts'
import { KeyturnError } from '../core/errors.ts'
import type { ServerContext } from './context.ts'
import { parseBody } from './json-body.ts'
import type { Call, Handler } from './routes.ts'

/** What waits for a second person, and what follows when one comes. */
export function approvalHandlers({ approvals, service }: ServerContext) {
  return {
    listApprovals: async ({ name }) => ({ items: await approvals.list(name) }),
    approve: async ({ request, reply, name, caller }) => {
      parseBody(noBody, request.body, false)
      const { id, act, by } = await approvals.take(name, idOf(request), caller)
      request.about = `${id} asked for by ${by.name} ${by.id}`
      // Both stand in the record of what was done.
      const actor = { name: `${by.name} with ${caller.name}` }
      const outcome: ApprovalOutcome =
        act.kind === 'emergency'
          ? { id, rotation: await service.rotate(name, act.request, actor), version: null }
          : { id, rotation: null, version: await service.revoke(name, act.version, act.request, actor) }
      return reply.code(202).send(outcome)
    },
    withdrawApproval: async ({ request, reply, name }) => {
      if (!(await approvals.withdraw(name, idOf(request))))
        throw new KeyturnError('not_found', 'Nothing waits for approval under this id.', {
          fix: 'List what waits.',
        })
      return reply.code(204).send()
    },
  } satisfies Partial<Record<OperationId, Handler>>
}

function idOf(request: Call['request']): string {
  return (request.params as { readonly id?: string }).id ?? ''
}

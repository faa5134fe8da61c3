import type { Operation } from './operations.ts'

/**
 * Routes that clouds call, and that are there only where `hooks` in keyturn.yaml says so. They are no part of the
 * contract: what is sent is for the cloud to define, and the answer says only whether it is to be sent again.
 */
export const hookOperations = {
  receivePubSub: {
    method: 'POST',
    path: '/v1/hooks/google-pubsub',
    access: 'hook',
    isOnAny: true,
    summary: 'Pub/Sub says that a secret of Google Secret Manager is to be rotated',
    status: 204,
  },
  receiveEventGrid: {
    method: 'POST',
    path: '/v1/hooks/azure-event-grid',
    access: 'hook',
    isOnAny: true,
    takesCloudEvents: true,
    summary: 'Event Grid says that a secret of Azure Key Vault is about to expire',
    status: 204,
  },
  greetEventGrid: {
    method: 'OPTIONS',
    path: '/v1/hooks/azure-event-grid',
    access: 'open',
    summary: 'Event Grid asks whether it may send here, in the schema of CloudEvents',
    status: 200,
  },
} as const satisfies Readonly<Record<string, Operation>>

export type HookOperationId = keyof typeof hookOperations

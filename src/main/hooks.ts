import type { Config } from '../config.ts'
import { azurePlace } from '../hooks/azure-event-grid.ts'
import { googlePlace } from '../hooks/google-pubsub.ts'
import type { Hooks } from '../server/hook-routes.ts'

/** Where the keys of credentials are, in the words of the clouds that may say that they are due. */
export function hooksOf({ hooks, credentials }: Config): Hooks {
  const google = credentials.flatMap(({ name, ref, store }) =>
    store.kind === 'google-secret-manager' ? [googlePlace(name, ref, store)] : [],
  )
  const azure = credentials.flatMap(({ name, ref, store }) =>
    store.kind === 'azure-key-vault' ? [azurePlace(name, ref, store.vault)] : [],
  )
  return {
    ...(hooks?.googlePubSub === true ? { googlePubSub: google } : {}),
    ...(hooks?.azureEventGrid === true ? { azureEventGrid: azure } : {}),
  }
}

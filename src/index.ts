/**
 * The package as apps see it: the client and its types. Importing it does nothing and loads nothing else; the resolver
 * for processes without a service is loaded when the first key is asked for.
 */

export { createClient } from './client/create-client.ts'
export {
  endDefaultClients,
  getOpenAICredential,
  getOpenAIKey,
  openAIOptions,
  withKeyRefresh,
} from './client/default-client.ts'
export type { EmbeddedHandOut, EmbeddedNoHandOut, EmbeddedResolver, OpenEmbedded } from './client/embedded.ts'
export { KeyturnClientError, type KeyturnClientErrorOptions } from './client/errors.ts'
export type { Platform } from './client/platform.ts'
export type {
  ClientOptions,
  Fetch,
  KeyturnClient,
  OpenAICredential,
  OpenAIOptions,
  Refusal,
} from './client/types.ts'
export type { ErrorCode } from './core/errors.ts'

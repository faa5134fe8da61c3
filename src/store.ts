/**
 * What somebody needs who writes a store of their own: the port, the two classes that cross it, and the parts that the
 * drivers of Keyturn are made of. Importing it does nothing and loads no package. See docs/own-store.md.
 */

export { KeyturnError, type KeyturnErrorOptions } from './core/errors.ts'
export type {
  Cancel,
  Log,
  PermissionFinding,
  PromoteOutcome,
  PromoteRequest,
  SecretStore,
  StageRequest,
  StoreCapabilities,
  StoreDescription,
  StoredVersion,
  System,
} from './core/ports.ts'
export { Secret } from './core/secret.ts'
export type { VersionId, VersionMeta } from './core/types.ts'
export { type StoreContext, warn } from './stores/context.ts'
export {
  createExchange,
  type HttpExchange,
  type HttpOutcome,
  type HttpRequest,
} from './stores/http-exchange.ts'
export { nodeFetch, type StoreFetch } from './stores/http-transport.ts'
export type { OpenOwnStore } from './stores/module.ts'
export { parseJson, withoutFileMarks } from './stores/plain-text.ts'
export type { DocumentPair, SlotDocument } from './stores/slot-pair.ts'
export type { MainDocument } from './stores/slot-state.ts'
export { slotStore } from './stores/slot-store.ts'

export {
  type ConfigCheck,
  checkConfig,
  configFileName,
  defaultPolicy,
  describeProblem,
  homeOf,
  loadConfig,
} from './config/load.ts'
export { quarterly } from './config/schedule.ts'
export { fileJsonSchema } from './config/schema.ts'
export type {
  AdminKeyConfig,
  AlertReceiverConfig,
  AuditConfig,
  AuditPlaceConfig,
  Config,
  ConfigProblem,
  ConfigSources,
  CredentialConfig,
  FederatedConfig,
  IssuerConfig,
  LastKnownGoodConfig,
  LedgerConfig,
  ListenConfig,
  MirrorConfig,
  PolicyConfig,
  ScheduleConfig,
  SecretSource,
  StoreConfig,
} from './config/types.ts'

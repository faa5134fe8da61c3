export { quarterly } from './config/build.ts'
export {
  type ConfigCheck,
  checkConfig,
  configFileName,
  defaultPolicy,
  describeProblem,
  homeOf,
  loadConfig,
} from './config/load.ts'
export { fileJsonSchema } from './config/schema.ts'
export type {
  Config,
  ConfigProblem,
  ConfigSources,
  CredentialConfig,
  IssuerConfig,
  ListenConfig,
  PolicyConfig,
  ScheduleConfig,
  SecretSource,
  StoreConfig,
} from './config/types.ts'

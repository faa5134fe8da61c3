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

import type { Check } from './check.ts'
import { environmentChecks } from './environment-checks.ts'
import { fileChecks } from './file-checks.ts'
import { configuration } from './keyturn/configuration.ts'
import { credentials } from './keyturn/credentials.ts'
import { rotation } from './keyturn/rotation.ts'
import { service } from './keyturn/service.ts'
import { shared } from './keyturn/shared.ts'
import { stores } from './keyturn/stores.ts'
import { baseUrlCheck, networkCheck } from './probe/network-check.ts'

/** Every check, in the order in which they run: environment, dotenv, source, manifests, network, keyturn. */
export const checks: readonly Check[] = [
  ...environmentChecks,
  ...fileChecks,
  baseUrlCheck,
  networkCheck,
  configuration,
  stores,
  service,
  credentials,
  rotation,
  shared,
]

import { emulatorSuite, fromEnvironment } from '../emulators/suites/deviations.ts'
import { vaultHarness } from '../emulators/suites/vault-harness.ts'

const namespace = process.env['VAULT_NAMESPACE']
const admin = {
  address: fromEnvironment('VAULT_ADDR'),
  token: fromEnvironment('VAULT_TOKEN'),
  ...(namespace ? { namespace } : {}),
}
const mount = process.env['KEYTURN_LIVE_VAULT_MOUNT'] ?? 'secret'

emulatorSuite('vault', () => vaultHarness(admin, { options: { mount } }))

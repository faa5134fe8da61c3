import type { FederatedConfig } from '../config.ts'
import type { Policy } from '../core/types.ts'
import type { FederatedSetup } from '../engine/federated-setup.ts'
import type { RunningService } from '../engine/service.ts'
import type { EngineDeps } from '../engine/setup.ts'
import { httpFetch } from '../issuers/http-fetch.ts'
import { openIssuer } from '../issuers/index.ts'
import { observedExchanger, observedIssuer } from '../telemetry/observed-issuer.ts'
import type { ComposeOptions } from './compose.ts'

/** The service of the credentials whose tokens are exchanged; loaded only where there are any. What is opened is closed by `stop`. */
export async function openFederated(
  options: ComposeOptions,
  deps: EngineDeps,
  stop: (() => Promise<void>)[],
): Promise<RunningService | undefined> {
  const { config, system, log, env, beat, version, isSandbox } = options
  const configured = config.federated ?? []
  if (configured.length === 0) return undefined
  const [{ createWorkloadIdentity }, { createFederatedService }] = await Promise.all([
    import('../issuers/workload-identity.ts'),
    import('../engine/federated-service.ts'),
  ])
  const setups = configured.map((one): FederatedSetup => {
    const { name, baseUrl, identity, expected, refreshBufferMs } = one
    const context = { system, log, env, fetch: httpFetch }
    const trade = createWorkloadIdentity(identity, context)
    stop.push(() => trade.close())
    const exchanger = deps.telemetry === undefined ? trade : observedExchanger(trade, deps.telemetry)
    // Proven as any other key is; nothing is minted, listed or revoked.
    const opened = openIssuer({ kind: 'manual', baseUrl, timeoutMs: identity.timeoutMs }, context)
    stop.push(() => opened.close())
    const issuer = deps.telemetry === undefined ? opened : observedIssuer(opened, deps.telemetry)
    const { serviceAccount } = identity
    return { name, exchanger, issuer, expected, serviceAccount, refreshBufferMs, policy: policyOf(one) }
  })
  return createFederatedService({ setups, deps, isAlive: beat !== undefined, version, isSandbox })
}

function policyOf({ policy }: FederatedConfig): Policy {
  return { ...policy, canMint: false, isManual: false, storeWritable: false, mirrors: [] }
}

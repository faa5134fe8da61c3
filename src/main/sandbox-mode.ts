import { writeFileSync } from 'node:fs'
import type { Config, PolicyConfig } from '../config.ts'
import { errnoOf } from '../core/errno.ts'
import { quarterly } from '../core/schedule.ts'
import { type Sandbox, startSandbox } from '../sandbox/index.ts'
import type { Home } from './home.ts'
import { sandboxMark } from './home-kind.ts'

/** Where the local OpenAI listens unless somebody else does already. */
const preferredPort = 7421
const adminKeyVariable = 'KEYTURN_SANDBOX_ADMIN_KEY'

export interface SandboxMode {
  readonly sandbox: Sandbox
  readonly config: Config
  /** What the configuration reads its admin key from; nothing of the real environment. */
  readonly env: Readonly<Record<string, string | undefined>>
}

/** A local OpenAI, and a configuration that turns a key against it in seconds. */
export async function openSandboxMode(
  home: Home,
  base: Pick<Config, 'listen' | 'allowedHosts' | 'rateLimits' | 'log'>,
): Promise<SandboxMode> {
  const sandbox = await startAnywhere(home.file('sandbox.json'))
  writeFileSync(home.file(sandboxMark), `${sandbox.url}\n`, { mode: 0o600 })
  return {
    sandbox,
    config: sandboxConfig(home, sandbox, base),
    env: { [adminKeyVariable]: sandbox.adminKey() },
  }
}

async function startAnywhere(stateFile: string): Promise<Sandbox> {
  try {
    return await startSandbox({ port: preferredPort, stateFile })
  } catch (thrown) {
    if (errnoOf(thrown) !== 'EADDRINUSE') throw thrown
    return startSandbox({ port: 0, stateFile })
  }
}

function sandboxConfig(
  home: Home,
  sandbox: Sandbox,
  base: Pick<Config, 'listen' | 'allowedHosts' | 'rateLimits' | 'log'>,
): Config {
  return {
    ...base,
    source: 'sandbox',
    home: home.path,
    credentials: [
      {
        name: 'openai',
        ref: 'openai',
        store: { kind: 'local', folder: home.file('secrets') },
        mirrors: [],
        consumers: [],
        issuer: {
          kind: 'openai',
          baseUrl: sandbox.baseUrl,
          timeoutMs: 5_000,
          adminKey: { env: adminKeyVariable },
          projectId: sandbox.project,
          serviceAccountId: sandbox.serviceAccount,
          mode: 'service_account_key',
          scopes: [],
        },
        expected: { organization: sandbox.organization, project: sandbox.project, scopes: [], models: [] },
        schedule: { expression: quarterly, timeZone: 'UTC', jitterMs: 3_600_000 },
        blackout: [],
        policy: hasty,
      },
    ],
  }
}

/** The same walk as in production, with waits that a person who tries it out can watch. */
const hasty: PolicyConfig = {
  overlapMs: 5_000,
  drainLimitMs: 7 * 86_400_000,
  afterLimit: 'wait',
  quietMs: 1_000,
  provingCount: 3,
  provingSettleMs: 600,
  activationGraceMs: 30_000,
  attemptsMax: 3,
  phaseDeadlineMs: 120_000,
  // The sandbox's edges know a new key within 90 ms: the first one is not waited for longer than that.
  retryBaseMs: 40,
  retryMaxMs: 2_000,
  verifyEveryMs: 60_000,
  verifyCloselyEveryMs: 5_000,
  verifyCloselyForMs: 60_000,
  rejectionGapMs: 300,
  automaticPerDayMax: 3,
  deadProbes: 3,
  deadSpanMs: 1_000,
  deadLimitMs: 30 * 60_000,
  storePollMs: 10_000,
  pendingExpirySeconds: 86_400,
  keyExpirySeconds: 365 * 86_400,
  expiryManaged: true,
  staleAfterMs: 100 * 86_400_000,
  standby: false,
  standbyMaxAgeMs: 90 * 86_400_000,
}

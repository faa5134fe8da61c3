import { resolve } from 'node:path'
import type { KeyPath } from '../config/document.ts'
import { defaultListen, isLoopback, listenShape, parseListen } from '../config/listen.ts'
import type { Config } from '../config.ts'
import { KeyturnError } from '../core/errors.ts'
import type { Environment } from './compose.ts'
import { assertOwnConfiguration } from './private-files.ts'
import { readIfThere } from './read-if-there.ts'

/** Where a configuration is looked for. */
interface Surroundings {
  readonly env: Environment
  readonly cwd: string
}

/** What says where keys are sent and who gets them: the configuration, the policy, the certificates; and the keys that name each. */
export function ownFiles({ source, access, tls }: Config): readonly { path: KeyPath; file: string }[] {
  const named: readonly (readonly [KeyPath, string | undefined])[] = [
    [[], source],
    [['access', 'file'], access?.file],
    [['tls', 'cert'], tls?.cert],
    [['tls', 'key'], tls?.key],
    [['tls', 'clientCa'], tls?.clientCa],
    ...(access?.rules.jwt ?? []).map(
      ({ jwksFile }, index) => [['access', 'jwt', index, 'jwksFile'], jwksFile] as const,
    ),
  ]
  return named.flatMap(([path, file]) => (file === undefined ? [] : [{ path, file }]))
}

export function assertOwnFiles(config: Config): void {
  for (const { file } of ownFiles(config)) assertOwnConfiguration(file, process.getuid?.())
}

/** Loaded only where a configuration is read: the parser and the validator take longer than the rest of a start. */
export async function loadFrom({ env, cwd }: Surroundings): Promise<Config> {
  const [{ loadConfig }, { assertValidCron, createOccurrences }] = await Promise.all([
    import('../config.ts'),
    import('../engine/cron.ts'),
  ])
  return loadConfig({
    env,
    cwd,
    readFile: readIfThere,
    assertValidCron,
    occurrences: createOccurrences(),
  })
}

/** What of a configuration the sandbox needs before it exists. It is for one machine, whatever the environment says. */
export function emptyConfig({ env, cwd }: Surroundings): Config {
  const text = env['KEYTURN_LISTEN']?.trim() || defaultListen
  const listen = parseListen(text, (path) => resolve(cwd, path))
  if (listen === undefined || (listen.kind === 'tcp' && !isLoopback(listen.host))) {
    throw new KeyturnError(
      'config_invalid',
      `KEYTURN_LISTEN is not an address on this machine: the sandbox listens on loopback or on a Unix socket.`,
      {
        fix: `Set it to ${listenShape}, or unset it.`,
      },
    )
  }
  const home = resolve(cwd, env['KEYTURN_HOME']?.trim() || '.keyturn')
  return {
    source: 'sandbox',
    home,
    listen,
    allowedHosts: [],
    // So high that it stops nobody, and there all the same: what is tried here is what runs elsewhere.
    rateLimits: { requestsPerSecond: 1_000_000, burst: 10_000_000, failuresPerMinute: 1_000_000 },
    log: { level: 'warn', format: 'text' },
    credentials: [],
  }
}

/** Without a configuration there is nothing that replicas could share. */
export async function ledgerOf(options: Surroundings): Promise<Config['ledger']> {
  try {
    return (await loadFrom(options)).ledger
  } catch (thrown) {
    if (thrown instanceof KeyturnError && thrown.code === 'config_missing') return undefined
    throw thrown
  }
}

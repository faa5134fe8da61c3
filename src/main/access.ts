import { stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Config } from '../config/types.ts'
import { type JwtRule, noAccess } from '../core/access.ts'
import { KeyturnError, toKeyturnError } from '../core/errors.ts'
import type { Cancel, Log, System } from '../core/ports.ts'
import { httpFetch, type IssuerFetch } from '../issuers/http-fetch.ts'
import type { Authenticator } from '../server/auth/authenticator.ts'
import { type CertificateWay, createCertificateWay } from '../server/auth/certificates.ts'
import { createEveryWay } from '../server/auth/every-way.ts'
import { createJwtWay } from '../server/auth/jwt.ts'
import { createKeySets, readKeySetFile } from '../server/auth/key-sets.ts'
import { createPolicyHolder, type PolicyHolder } from '../server/auth/policy.ts'
import { every } from '../server/ticker.ts'
import type { TokenStore } from '../server/tokens.ts'
import { readOwnConfiguration } from './private-files.ts'

/** Who is let in, as configured. */
export interface Access {
  readonly authenticator: Authenticator
  readonly policy: PolicyHolder
  readonly certificates: CertificateWay
  stop(): void
}

const pollMs = 500
const textBytesMax = 1_048_576
const answerMs = 5_000

/** `config_invalid` where the policy file cannot be used. */
export async function openAccess(
  config: Config,
  context: {
    readonly tokens: TokenStore
    readonly system: System
    readonly log: Log
    /** Of the policy file and of keys of issuers; a test can let it fail. */
    readonly readText?: (path: string) => Promise<string>
  },
): Promise<Access> {
  const { tokens, system, log, readText = readOwn } = context
  const policy = createPolicyHolder(config.access?.rules ?? noAccess)
  const stop = await followPolicyFile(config, { policy, system, log, readText })
  const certificates = createCertificateWay({ policy, system })
  const keys = createKeySets({
    getText: getTextWith(httpFetch, system),
    readFile: readText,
    system,
    log,
  })
  await tellOfKeySets(policy.policy.jwt, { readText, log })
  const jwt = createJwtWay({ policy, keys, system, log })
  const isUnixSocket = config.listen.kind === 'unix'
  return {
    authenticator: createEveryWay({ tokens, policy, jwt, certificates, isUnixSocket }),
    policy,
    certificates,
    stop,
  }
}

/** Else it would show when the first caller is turned away. The others are let in all the same, and the file is read again. */
async function tellOfKeySets(
  rules: readonly JwtRule[],
  { readText, log }: { readonly readText: (path: string) => Promise<string>; readonly log: Log },
): Promise<void> {
  for (const { issuer, jwksFile } of rules) {
    if (jwksFile === undefined) continue
    await readKeySetFile(jwksFile, readText).catch((error: unknown) =>
      log('error', 'nobody is let in by a rule whose keys cannot be read', { issuer, error }),
    )
  }
}

/** Whoever can put their own in the place of the policy or of an issuer's keys says who is let in: at each reading, not at the start alone. */
export function readOwn(path: string): Promise<string> {
  return readOwnConfiguration(path, process.getuid?.())
}

/** What a file says that cannot be used any more leaves the rules as they were: nobody is locked out by a slip, nor let in. */
async function followPolicyFile(
  config: Config,
  {
    policy,
    system,
    log,
    readText,
  }: {
    readonly policy: PolicyHolder
    readonly system: System
    readonly log: Log
    readonly readText: (path: string) => Promise<string>
  },
): Promise<Cancel> {
  const { access } = config
  if (access?.file === undefined) return () => {}
  const { file, rules } = access
  const { readPolicyFile, joinPolicies } = await import('../config/access.ts')
  const policyContext = contextOf(config, file)
  const read = (): Promise<string> =>
    readText(file).catch((thrown: unknown) => {
      if (thrown instanceof KeyturnError) throw thrown
      throw unusable(file, 'it cannot be read', thrown)
    })
  const use = (text: string): void => {
    const check = readPolicyFile(text, policyContext)
    if (check.kind === 'invalid') {
      const [first] = check.problems
      throw unusable(file, `line ${first?.line ?? 1}: ${first?.path ?? ''}: ${first?.message ?? ''}`)
    }
    policy.replace(joinPolicies(rules, check.policy))
  }
  let signature = await signatureOf(file)
  use(await read())
  let told = signature
  let isLooking = false
  const look = async (): Promise<void> => {
    const now = await signatureOf(file)
    if (now === signature) return
    try {
      const text = await read()
      // What could not be read, as for want of a file handle, is tried again: it may take something from somebody.
      signature = now
      use(text)
      log('info', 'the policy was read again', { file })
    } catch (thrown) {
      if (told !== now)
        log('error', 'the new policy cannot be used; the one from before counts', {
          error: toKeyturnError(thrown, 'reading the policy'),
        })
    }
    told = now
  }
  return every(system, pollMs, () => {
    if (isLooking) return
    isLooking = true
    void look().finally(() => {
      isLooking = false
    })
  })
}

/** What a policy file may speak of, and from where its paths go. */
function contextOf({ credentials, federated = [], adminKeys = [] }: Config, file: string) {
  const names = [...credentials, ...federated, ...adminKeys].map(({ name }) => name)
  return { names, resolve: (path: string) => resolve(dirname(file), path) }
}

/** Those of the configuration, then those of its policy file as it is now. */
export async function jwtRulesOf(config: Config): Promise<readonly JwtRule[]> {
  const { file, rules } = config.access ?? { rules: noAccess }
  if (file === undefined) return rules.jwt
  const { readPolicyFile } = await import('../config/access.ts')
  const check = readPolicyFile(await readOwn(file), contextOf(config, file))
  return [...rules.jwt, ...(check.kind === 'valid' ? check.policy.jwt : [])]
}

async function signatureOf(path: string): Promise<string> {
  return stat(path, { bigint: true }).then(
    ({ ino, mtimeNs, size }) => `${ino}:${mtimeNs}:${size}`,
    () => 'absent',
  )
}

function unusable(file: string, what: string, cause?: unknown): KeyturnError {
  return new KeyturnError('config_invalid', `The policy ${file} cannot be used: ${what}.`, {
    fix: "'keyturn config check' shows all that is wrong in it.",
    ...(cause === undefined ? {} : { cause }),
  })
}

/** A whole text, in bounded time and size, from where it was asked and nowhere else. */
export function getTextWith(fetch: IssuerFetch, system: System): (url: string) => Promise<string> {
  return async (url) => {
    const ending = new AbortController()
    const cancel = system.after(answerMs, () => ending.abort(), { background: true })
    try {
      const { isSafeUrl } = await import('../config/fields.ts')
      if (!isSafeUrl(url)) throw refused(url, 'it is not reached by HTTPS')
      const response = await fetch(url, {
        method: 'GET',
        headers: { accept: 'application/json' },
        signal: ending.signal,
        redirect: 'manual',
      })
      if (response.status !== 200 || response.body === null) {
        await response.body?.cancel?.()
        throw refused(url, `it answered ${response.status}`)
      }
      const chunks: Uint8Array[] = []
      let bytes = 0
      for await (const chunk of response.body) {
        bytes += chunk.byteLength
        if (bytes > textBytesMax) throw refused(url, 'it answers with more than fits')
        chunks.push(chunk)
      }
      return Buffer.concat(chunks).toString('utf8')
    } finally {
      cancel()
    }
  }
}

function refused(url: string, what: string): KeyturnError {
  return new KeyturnError('config_invalid', `The keys at ${url} cannot be had: ${what}.`, {
    fix: 'Correct jwks or issuer under access.jwt, or name a file (jwksFile).',
    retryable: true,
  })
}

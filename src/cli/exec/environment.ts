import type { OpenAICredential } from '../../client/types.ts'

export interface EnvironmentOptions {
  /** Which variables get the key. */
  readonly variables: readonly string[]
  /** What is left in, of what is else taken out. */
  readonly keeps: readonly string[]
}

/** Who has one of these can ask for every key that its owner may read, or act: no program needs them to use a key. */
export const takenOut = [
  'KEYTURN_TOKEN',
  'KEYTURN_TOKEN_FILE',
  'KEYTURN_OPERATOR_TOKEN',
  'KEYTURN_OPERATOR_TOKEN_FILE',
  'KEYTURN_CLIENT_KEY_FILE',
  'OPENAI_ADMIN_KEY',
] as const

/**
 * What a program is started with. Where the credential names no organisation or project, a variable that does is taken out:
 * it may name another one than the key belongs to. The base URL is always said, since a key goes nowhere else.
 */
export function programEnvironment(
  own: Readonly<Record<string, string | undefined>>,
  credential: OpenAICredential,
  options: EnvironmentOptions,
): Record<string, string> {
  const { organization, project, baseUrl, apiKey } = credential
  const given: Record<string, string | undefined> = {
    ...withoutTokens(own, options.keeps),
    OPENAI_ORG_ID: organization ?? undefined,
    OPENAI_PROJECT_ID: project ?? undefined,
    OPENAI_BASE_URL: baseUrl,
  }
  for (const variable of options.variables) given[variable] = apiKey
  return defined(given)
}

/** The environment without what lets somebody act in Keyturn, but for what is named. */
export function withoutTokens(
  own: Readonly<Record<string, string | undefined>>,
  keeps: readonly string[],
): Record<string, string> {
  const dropped = new Set<string>(takenOut.filter((name) => !keeps.includes(name)))
  return defined(Object.fromEntries(Object.entries(own).filter(([name]) => !dropped.has(name))))
}

/** Equal for equal environments, and no secret: the fingerprint tells one key from another. */
export function environmentOf(credential: OpenAICredential): string {
  const { fingerprint, version, organization, project, baseUrl } = credential
  return JSON.stringify([fingerprint, version, organization, project, baseUrl])
}

function defined(all: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const found: Record<string, string> = {}
  for (const [name, value] of Object.entries(all)) if (value !== undefined) found[name] = value
  return found
}

/** A real store that the suite can be run against, and what it has to be told. */
export interface LiveTarget {
  readonly name: string
  readonly suite: string
  /** All of these, and of each group of `either` at least one whole alternative. */
  readonly needs: readonly string[]
  readonly either?: readonly (readonly string[])[]
}

export const targets: readonly LiveTarget[] = [
  {
    name: 'aws',
    suite: 'aws.live.ts',
    needs: ['AWS_REGION'],
    either: [
      ['AWS_PROFILE'],
      ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'],
      ['AWS_WEB_IDENTITY_TOKEN_FILE'],
    ],
  },
  { name: 'gcp', suite: 'gcp.live.ts', needs: ['GOOGLE_CLOUD_PROJECT'] },
  { name: 'azure', suite: 'azure.live.ts', needs: ['KEYTURN_LIVE_AZURE_VAULT'] },
  { name: 'vault', suite: 'vault.live.ts', needs: ['VAULT_ADDR', 'VAULT_TOKEN'] },
  { name: 'kubernetes', suite: 'kubernetes.live.ts', needs: ['KUBECONFIG'] },
]

/** What is not set of what a target has to be told, as sentences. */
export function missing(
  { name, needs, either = [] }: LiveTarget,
  env: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const isSet = (variable: string): boolean => Boolean(env[variable])
  const alternatives = either.map((group) => group.join(' and ')).join(', or ')
  return [
    ...needs.filter((variable) => !isSet(variable)).map((variable) => `${name}: ${variable} is not set`),
    ...(either.length === 0 || either.some((group) => group.every(isSet))
      ? []
      : [`${name}: set ${alternatives}`]),
  ]
}

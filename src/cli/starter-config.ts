export const starterStores = [
  'local',
  'env',
  'file',
  'aws-secrets-manager',
  'google-secret-manager',
  'azure-key-vault',
  'vault',
  'kubernetes',
] as const

export type StarterStore = (typeof starterStores)[number]

/**
 * The line that nobody but the reader can write, where a store needs one: a made-up address would be asked for a key, and
 * may belong to a stranger. Until it is there, the file is not valid, and `config check` names it.
 */
export const starterNeeds: Partial<Readonly<Record<StarterStore, string>>> = { 'azure-key-vault': 'vault' }

/** A keyturn.yaml that is valid as it is, but for what `starterNeeds` says, and shows in comments what else there is. */
export function starterConfig(options: {
  readonly store: StarterStore
  readonly minting: { readonly project: string; readonly serviceAccount: string } | undefined
  /** Absent: that of OpenAI itself. */
  readonly baseUrl?: string | undefined
}): string {
  return `# Configuration of Keyturn. Every key, its default and its range: docs/configuration.md
# Secrets never stand here: they are in the store, or named as { env: NAME } or { file: PATH }.
# Look it over with: keyturn config check

credentials:
  # The name that apps ask for.
  openai:
${storeText[options.store]}
${issuerText(options)}
${scheduleText(options)}
    # Whom the key must belong to, so that nobody can plant another one.
    # expected:
    #   organization: org-...
    #   project: proj_...
    #   models: [gpt-6-luna]

    # policy:
    #   overlap: 24h       # how long the old key lives on after a rotation
    #   verifyEvery: 5m

# listen: 127.0.0.1:7420
# log: { level: info, format: json }
`
}

const storeText: Readonly<Record<StarterStore, string>> = {
  local: `    # Files encrypted with age, below KEYTURN_HOME (.keyturn).
    store: { kind: local }`,
  env: `    # The variable OPENAI_API_KEY, else .env: verified and handed out; it cannot be turned.
    store: { kind: env }
    ref: OPENAI_API_KEY`,
  'aws-secrets-manager': `    # Needs: npm install @aws-sdk/client-secrets-manager@3
    store:
      kind: aws-secrets-manager
      # region: eu-central-1
      createIfAbsent: true
    # The secret's name or ARN.
    ref: openai/api-key`,
  file: `    # A file that something else mounts: verified and handed out; it cannot be turned.
    store: { kind: file, path: /run/secrets }
    ref: openai`,
  'google-secret-manager': `    # Needs: npm install @google-cloud/secret-manager@7
    store:
      kind: google-secret-manager
      # project: my-project
      createIfAbsent: true
    # The secret's name, or projects/PROJECT/secrets/NAME.
    ref: openai-api-key`,
  'azure-key-vault': `    # Needs: npm install @azure/keyvault-secrets@4 @azure/identity@4
    store:
      kind: azure-key-vault
      # Needed; it has no default:
      # vault: https://NAME.vault.azure.net
    # The secret's name.
    ref: openai-api-key`,
  vault: `    # HashiCorp Vault or OpenBao, with the token in VAULT_TOKEN; other logins: docs/stores.md
    store:
      kind: vault
      # address: https://vault.example.com:8200     # else VAULT_ADDR
      # mount: secret
    # secret/data/team/openai, field api_key.
    ref: team/openai`,
  kubernetes: `    # A Secret, with the pod's service account or your kubeconfig.
    store:
      kind: kubernetes
      # namespace: apps
    # The Secret's name; the key in it is api_key.
    ref: openai`,
}

function issuerText({ minting, baseUrl }: Parameters<typeof starterConfig>[0]): string {
  const elsewhere = baseUrl === undefined ? [] : [`  baseUrl: ${JSON.stringify(baseUrl)}`]
  const openai = [
    'issuer:',
    '  kind: openai',
    '  adminKey: { env: OPENAI_ADMIN_KEY }',
    `  project: ${minting?.project ?? 'proj_...'}`,
    `  serviceAccount: ${minting?.serviceAccount ?? 'svc_acct_...'}`,
    ...elsewhere,
  ]
  if (minting !== undefined) {
    const lines = openai.map((line) => `    ${line}`)
    return ['', '    # Mints each new key on one stable service account, with an admin key.', ...lines].join(
      '\n',
    )
  }
  const manual = elsewhere.length === 0 ? [] : ['issuer:', '  kind: manual', ...elsewhere]
  return [
    '',
    '    # You bring keys yourself (keyturn bring openai).',
    ...manual.map((line) => `    ${line}`),
    '    # To have them minted and turned:',
    ...openai.map((line) => `    # ${line}`),
  ].join('\n')
}

function scheduleText({ store, minting }: Parameters<typeof starterConfig>[0]): string {
  if (store === 'env' || store === 'file') return ''
  const isActive = minting !== undefined
  const mark = isActive ? '' : '# '
  return `
    # When the key is turned; this is also the default where keys are minted.
    ${mark}schedule: { cron: '0 3 1 1,4,7,10 *', timeZone: UTC, jitter: 1h }
`
}

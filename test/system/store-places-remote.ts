import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startAwsFake } from '../stores/fakes/aws-fake.ts'
import { startAzureFake } from '../stores/fakes/azure-fake.ts'
import { makeFolder } from '../stores/fakes/folder.ts'
import type { GoogleFake } from '../stores/fakes/google-fake.ts'
import { defaultNamespace, startKubernetesFake } from '../stores/fakes/kubernetes-fake.ts'
import { startVaultFake } from '../stores/fakes/vault-fake.ts'
import { always, type StorePlace } from './store-places.ts'

/** The stores of clouds and clusters, each on the fake of its wire protocol in this process. */

export async function awsPlace(): Promise<StorePlace> {
  const fake = await startAwsFake()
  const name = 'prod/openai'
  // As somebody makes it with `aws secretsmanager create-secret`, before there is a key.
  fake.secrets.set(name, { versions: new Map(), tags: new Map() })
  const secretAccessKey = ['secret', 'access', 'key', 'of', 'aws'].join('+')
  return {
    env: {
      AWS_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: 'AKIATEST',
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_ENDPOINT_URL_SECRETS_MANAGER: fake.endpoint,
    },
    yaml: '{ kind: aws-secrets-manager }',
    ref: name,
    secrets: [secretAccessKey],
    put: (apiKey) => void fake.put(name, apiKey),
    read: () =>
      [...(fake.secrets.get(name)?.versions.values() ?? [])].find((one) => one.labels.has('AWSCURRENT'))
        ?.text,
    outages: [
      {
        code: 'store_unreachable',
        says: /prod\/openai|AWS/,
        begin: () => fake.fault({ kind: 'unavailable', times: always }),
        end: () => fake.clear(),
      },
      {
        code: 'store_denied',
        says: /secretsmanager:GetSecretValue/,
        begin: () => fake.deny('GetSecretValue'),
        end: () => fake.deny(),
      },
    ],
    end: () => fake.close(),
  }
}

/** Over REST for readers of `latest`. */
export async function googlePlace(): Promise<StorePlace> {
  const { startGoogleFake } = await import('../stores/fakes/google-fake.ts')
  const fake = await startGoogleFake()
  // As the messages of Keyturn say it to somebody who lets it make no secrets of its own.
  for (const id of ['openai', 'openai-keyturn']) fake.make(`projects/team-1/secrets/${id}`)
  return {
    ...googleParts(fake, ''),
    put: (apiKey) => void fake.put('openai', apiKey),
    read: () => fake.newest('openai'),
    // What was destroyed has no value any more.
    history: () => fake.texts('openai'),
  }
}

/** Over gRPC, for readers of an alias; the secret is made by Keyturn. */
export async function googleAliasPlace(): Promise<StorePlace> {
  const { startGoogleGrpcFake } = await import('../stores/fakes/google-fake-grpc.ts')
  const fake = await startGoogleGrpcFake()
  return {
    ...googleParts(fake, ', transport: grpc, consumers: alias, createIfAbsent: true'),
    read() {
      const secret = fake.secret('openai')
      return secret?.versions.find((one) => one.number === secret.aliases['current'])?.data.toString()
    },
  }
}

function googleParts(
  fake: GoogleFake,
  options: string,
): Pick<StorePlace, 'env' | 'yaml' | 'ref' | 'secrets' | 'outages' | 'end'> {
  return {
    env: { GOOGLE_CLOUD_PROJECT: 'team-1' },
    yaml: `{ kind: google-secret-manager, endpoint: '${fake.endpoint}'${options} }`,
    ref: 'openai',
    secrets: [],
    outages: [
      {
        code: 'store_unreachable',
        says: /openai|Secret Manager/,
        begin: () => fake.fault(503, { times: always }),
        end: () => fake.clear(),
      },
      {
        code: 'store_denied',
        says: /secretmanager\.versions\.access|secretAccessor/,
        begin: () => fake.deny('secretmanager.versions.access'),
        end: () => fake.deny(),
      },
    ],
    end: () => fake.close(),
  }
}

/** The fake is the tenant's Entra ID as well. */
export async function azurePlace(): Promise<StorePlace> {
  const fake = await startAzureFake()
  const { path, remove } = await makeFolder()
  const caFile = join(path, 'ca.pem')
  await writeFile(caFile, fake.certificate.cert)
  return {
    env: {
      AZURE_TENANT_ID: fake.tenantId,
      AZURE_CLIENT_ID: fake.clientId,
      AZURE_CLIENT_SECRET: fake.clientSecret,
      AZURE_AUTHORITY_HOST: fake.address,
    },
    yaml: `{ kind: azure-key-vault, vault: '${fake.address}', caFile: '${caFile}' }`,
    ref: 'openai',
    secrets: [fake.clientSecret],
    put: (apiKey) => void fake.put('openai', apiKey),
    read: () => fake.top('openai')?.value,
    history: () => (fake.secrets.get('openai')?.versions ?? []).map((one) => one.value),
    outages: [
      {
        code: 'store_unreachable',
        says: /openai|127\.0\.0\.1/,
        begin: () => fake.fault(503, { times: always }),
        end: () => fake.clear(),
      },
      {
        code: 'store_denied',
        says: /Key Vault Secrets|get/i,
        begin: () => fake.deny('get *'),
        end: () => fake.deny(),
      },
    ],
    async end() {
      await fake.close()
      await remove()
    },
  }
}

/** The key is one field of a document that others have fields in. */
export async function vaultPlace(): Promise<StorePlace> {
  const fake = await startVaultFake()
  const token = fake.issueToken()
  const path = 'team/openai'
  const newest = (): Readonly<Record<string, unknown>> | undefined => {
    const document = fake.mount.documents.get(path)
    return document?.versions.get(document.current)?.data
  }
  return {
    env: { VAULT_ADDR: fake.address, VAULT_TOKEN: token },
    yaml: '{ kind: vault }',
    ref: path,
    secrets: [token],
    put: (apiKey) => fake.put(path, { ...newest(), api_key: apiKey, owner: 'the billing team' }),
    read: () => newest()?.['api_key'] as string | undefined,
    others: () => newest()?.['owner'],
    outages: [
      {
        code: 'store_unreachable',
        says: /team\/openai|Vault/,
        begin: () => fake.fault(503, { times: always }),
        end: () => fake.clear(),
      },
      {
        code: 'store_denied',
        says: /secret\/data\/team\/openai/,
        begin: () => fake.deny('read secret/data/team/openai'),
        end: () => fake.deny(),
      },
    ],
    end: () => fake.close(),
  }
}

/** With a kubeconfig, as from outside the cluster; the Secret is made by Keyturn. */
export async function kubernetesPlace(): Promise<StorePlace> {
  const fake = await startKubernetesFake()
  const { path, remove } = await makeFolder()
  const token = ['token', 'of', 'a', 'service', 'account', String(fake.port)].join('-')
  fake.tokens.add(token)
  const kubeconfig = join(path, 'config')
  const config = {
    'current-context': 'here',
    contexts: [{ name: 'here', context: { cluster: 'here', user: 'keyturn', namespace: defaultNamespace } }],
    clusters: [{ name: 'here', cluster: { server: fake.server, 'certificate-authority': 'ca.crt' } }],
    users: [{ name: 'keyturn', user: { tokenFile: 'token' } }],
  }
  await writeFile(kubeconfig, JSON.stringify(config), { mode: 0o600 })
  await writeFile(join(path, 'ca.crt'), fake.certificate.cert)
  await writeFile(join(path, 'token'), token, { mode: 0o600 })
  return {
    env: { KUBECONFIG: kubeconfig },
    yaml: '{ kind: kubernetes }',
    ref: 'openai',
    secrets: [token],
    read() {
      const data = fake.secrets.get(`${defaultNamespace}/openai`)?.data?.['api_key']
      return data === undefined ? undefined : Buffer.from(data, 'base64').toString()
    },
    outages: [
      {
        code: 'store_unreachable',
        says: /openai|Kubernetes/,
        begin() {
          fake.fault(503, { times: always })
          fake.endWatches()
        },
        end: () => fake.clear(),
      },
      {
        code: 'store_denied',
        says: /get/,
        begin() {
          fake.deny('get openai', 'list openai', 'watch openai')
          fake.endWatches()
        },
        end: () => fake.deny(),
      },
    ],
    async end() {
      await fake.close()
      await remove()
    },
  }
}

import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { SecretStore } from '../../../src/core/ports.ts'
import type { StoreContext } from '../../../src/stores/index.ts'
import { type KubernetesOptions, openKubernetesStore } from '../../../src/stores/kubernetes.ts'
import { makeFolder } from './folder.ts'
import { defaultNamespace, type KubernetesFake, startKubernetesFake } from './kubernetes-fake.ts'
import { patientMs, type Recorded, testContext } from './system.ts'

export interface KubernetesPlace {
  readonly fake: KubernetesFake
  /** Where the pod's service account is mounted. */
  readonly folder: string
  readonly context: StoreContext & Recorded
  open(options?: KubernetesOptions, context?: StoreContext): Promise<SecretStore>
  /** Replaces the pod's token, as the kubelet does; the old ones are refused where `isExclusive`. */
  newToken(isExclusive?: boolean): Promise<string>
  end(): Promise<void>
}

/** A pod with a service account, beside an API server of its own. */
export async function startKubernetes(system?: StoreContext['system']): Promise<KubernetesPlace> {
  const fake = await startKubernetesFake()
  const { path: folder, remove } = await makeFolder()
  const env = { KUBERNETES_SERVICE_HOST: fake.host, KUBERNETES_SERVICE_PORT: String(fake.port) }
  const context = { ...testContext(folder, env), ...(system === undefined ? {} : { system }) }
  const opened: SecretStore[] = []
  const newToken = async (isExclusive = false): Promise<string> => {
    const token = ['token', 'of', 'pod', randomUUID()].join('-')
    if (isExclusive) fake.tokens.clear()
    fake.tokens.add(token)
    await writeFile(join(folder, 'token'), `${token}\n`)
    return token
  }
  await newToken()
  await writeFile(join(folder, 'namespace'), `${defaultNamespace}\n`)
  await writeFile(join(folder, 'ca.crt'), fake.certificate.cert)
  return {
    fake,
    folder,
    context,
    newToken,
    async open(options = {}, given = context) {
      const store = await openKubernetesStore(
        { requestTimeoutMs: patientMs, serviceAccountFolder: folder, ...options },
        given,
      )
      opened.push(store)
      return store
    },
    async end() {
      for (const store of opened) await store.close()
      await fake.close()
      await remove()
    },
  }
}

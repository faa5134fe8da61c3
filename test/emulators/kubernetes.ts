import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from '../free-port.ts'
import type { Emulator, RunningEmulator } from './emulator.ts'
import { buildGo, goModOf } from './go.ts'
import { type Server, serve } from './processes.ts'
import { ask } from './suites/kubernetes-admin.ts'

const version = '1.36.3'
const etcdVersion = '3.6.7'
const startMs = 120_000

/** The API server of Kubernetes itself with its etcd, built from the Go module proxy; no kubelet and no controllers. */
export const kubernetes: Emulator = {
  name: 'kube-apiserver',
  version: `${version}, etcd ${etcdVersion}`,
  suite: 'kubernetes.suite.ts',

  async install(folder) {
    const etcd = { 'go.etcd.io/etcd/server/v3': `v${etcdVersion}` }
    await buildGo(
      'etcd',
      { command: 'go.etcd.io/etcd/server/v3', requires: etcd },
      await inside(folder, 'etcd'),
    )
    await buildGo(
      'kube-apiserver',
      {
        command: 'k8s.io/kubernetes/cmd/kube-apiserver',
        requires: { 'k8s.io/kubernetes': `v${version}`, ...(await stagedModules(folder)) },
        values: { 'k8s.io/component-base/version.gitVersion': `v${version}` },
      },
      await inside(folder, 'kube-apiserver'),
    )
  },

  async start(installed, folder): Promise<RunningEmulator> {
    const started: Server[] = []
    const stop = async (): Promise<void> => {
      for (const server of started.toReversed()) await server.stop()
    }
    try {
      const etcd = await startEtcd(installed, folder)
      started.push(etcd.server)
      const api = await startApi({ installed, folder, etcdUrl: etcd.url })
      started.push(api.server)
      return { env: api.env, stop }
    } catch (error) {
      await stop()
      throw error
    }
  },
}

/** Its own libraries, which its repository takes from folders beside it and which are published as 0.x of the same x. */
async function stagedModules(folder: string): Promise<Readonly<Record<string, string>>> {
  const text = await goModOf(`k8s.io/kubernetes@v${version}`, folder)
  const names = [...text.matchAll(/^\s*(k8s\.io\/[a-z-]+) => \.\/staging\//gm)].map(([, name]) => name ?? '')
  const staged = version.replace(/^1/, 'v0')
  return Object.fromEntries(names.filter((name) => !name.includes('/sample-')).map((name) => [name, staged]))
}

async function startEtcd(
  installed: string,
  folder: string,
): Promise<{ readonly server: Server; readonly url: string }> {
  const url = `http://127.0.0.1:${await freePort()}`
  const server = await serve(
    [
      join(installed, 'etcd', 'etcd'),
      `--data-dir=${join(folder, 'etcd-data')}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      '--listen-peer-urls=http://127.0.0.1:0',
      '--unsafe-no-fsync',
    ],
    {
      cwd: folder,
      logFile: join(folder, 'etcd.log'),
      isReady: async () => (await fetch(`${url}/health`)).ok,
      timeoutMs: startMs,
    },
  )
  return { server, url }
}

async function startApi(options: {
  readonly installed: string
  readonly folder: string
  readonly etcdUrl: string
}): Promise<{ readonly server: Server; readonly env: Readonly<Record<string, string>> }> {
  const { installed, folder, etcdUrl } = options
  const port = await freePort()
  const token = ['admin', 'token', randomUUID()].join('-')
  const signing = join(folder, 'service-accounts.pem')
  const tokens = join(folder, 'tokens.csv')
  const certificates = await inside(folder, 'certificates')
  const key = generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey
  await writeFile(signing, key.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  await writeFile(tokens, `${token},admin,admin,"system:masters"\n`, { mode: 0o600 })
  const url = `https://127.0.0.1:${port}`
  const admin = { url, token, caFile: join(certificates, 'apiserver.crt') }
  const server = await serve(
    [
      join(installed, 'kube-apiserver', 'kube-apiserver'),
      `--etcd-servers=${etcdUrl}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      `--secure-port=${port}`,
      `--cert-dir=${certificates}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${signing}`,
      `--service-account-signing-key-file=${signing}`,
      '--service-cluster-ip-range=10.0.0.0/24',
      '--endpoint-reconciler-type=none',
      `--token-auth-file=${tokens}`,
      '--authorization-mode=RBAC',
    ],
    {
      cwd: folder,
      logFile: join(folder, 'kube-apiserver.log'),
      isReady: async () => (await ask(admin, 'GET', '/readyz')).status === 200,
      timeoutMs: startMs,
    },
  )
  const env = {
    KEYTURN_SUITE_KUBERNETES: url,
    KEYTURN_SUITE_KUBERNETES_TOKEN: token,
    KEYTURN_SUITE_KUBERNETES_CA: admin.caFile,
  }
  return { server, env }
}

async function inside(folder: string, name: string): Promise<string> {
  const path = join(folder, name)
  await mkdir(path, { recursive: true })
  return path
}

import { chmodSync, chownSync, lchownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { podOf } from '../deploy/manifest-rules.ts'
import { readManifests } from '../deploy/manifests.ts'
import { makeCertificate } from '../stores/fakes/certificate.ts'
import type { Service } from './compose.ts'
import { type Container, type Ground, start } from './containers.ts'
import type { Runtime } from './runtimes.ts'
import type { Unpacked } from './unpacked.ts'

const group = 65_532

/** The pod of deploy/kubernetes, with its volumes as a kubelet lays them under `fsGroup`; no cluster, no OpenAI and no ledger but its own. */
export function startPod(
  folder: string,
  image: Unpacked,
  runtime: Runtime,
): { readonly ground: Ground; readonly pod: Container } {
  const [deployment] = readManifests('deployment.yaml')
  const [container] = (deployment === undefined ? undefined : podOf(deployment))?.containers ?? []
  if (container === undefined) throw new Error('deployment.yaml has no container')
  const volumes = join(folder, 'volumes')
  for (const [name, files] of Object.entries(contents())) mountLike(join(volumes, name), files)
  mkdirSync(join(volumes, 'home'))
  chownSync(join(volumes, 'home'), 0, group)
  chmodSync(join(volumes, 'home'), 0o2777)
  writeFileSync(join(volumes, 'hosts'), '127.0.0.1 localhost keyturn.keyturn.svc\n')
  const mounts = (container.volumeMounts ?? []).filter(({ name }) => name !== 'tmp')
  const service: Service = {
    image: 'keyturn',
    user: `${group}:${group}`,
    read_only: true,
    tmpfs: ['/tmp'],
    cap_drop: ['ALL'],
    security_opt: ['no-new-privileges:true'],
    pids_limit: 256,
    environment: Object.fromEntries((container.env ?? []).map(({ name, value = '' }) => [name, value])),
    volumes: [
      ...mounts.map(({ name, mountPath }) => `${name}:${mountPath}${name === 'home' ? '' : ':ro'}`),
      'hosts:/etc/hosts:ro',
    ],
  }
  const compose = { services: { pod: service }, secrets: {}, volumes: {} }
  const ground: Ground = { runtime, folder, image, compose, running: new Map() }
  return { ground, pod: start(ground, 'pod') }
}

function contents(): Readonly<Record<string, Readonly<Record<string, string>>>> {
  const { cert, key } = makeCertificate('keyturn', { host: 'keyturn.keyturn.svc' })
  return {
    config: { 'keyturn.yaml': configuration() },
    jwks: { 'jwks.json': '{"keys":[]}' },
    secrets: { 'openai-admin-key': 'none that counts', 'ledger-password': 'none' },
    tls: { 'tls.crt': cert, 'tls.key': key, 'ca.crt': cert },
    'api-token': { token: 'none', 'ca.crt': cert, namespace: 'keyturn' },
  }
}

/** That of config.yaml, without what only a cluster has. */
function configuration(): string {
  const [manifest] = readManifests('config.yaml')
  const { 'keyturn.yaml': text = '' } = (manifest?.['data'] ?? {}) as Readonly<Record<string, string>>
  const { ledger: _ledger, stores: _stores, ...rest } = parse(text) as Readonly<Record<string, unknown>>
  return stringify({ ...rest, stores: { cluster: { kind: 'local' } } })
}

/** Files that root has and the group may read, behind links that are swapped when a Secret changes. */
function mountLike(path: string, files: Readonly<Record<string, string>>): void {
  mkdirSync(join(path, '..one'), { recursive: true })
  symlinkSync('..one', join(path, '..data'))
  for (const [name, text] of Object.entries(files)) {
    const file = join(path, '..one', name)
    writeFileSync(file, text)
    chmodSync(file, 0o440)
    chownSync(file, 0, group)
    symlinkSync(`..data/${name}`, join(path, name))
    lchownSync(join(path, name), 0, group)
  }
}

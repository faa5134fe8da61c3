import { BlockList, isIP } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import type { Manifest } from './schemas.ts'

type Json = { readonly [key: string]: unknown }

interface Container {
  readonly name: string
  readonly image?: string
  readonly args?: readonly string[]
  readonly securityContext?: {
    readonly runAsUser?: number
    readonly runAsNonRoot?: boolean
    readonly privileged?: boolean
    readonly allowPrivilegeEscalation?: boolean
    readonly readOnlyRootFilesystem?: boolean
    readonly capabilities?: { readonly drop?: readonly string[]; readonly add?: readonly string[] }
  }
  readonly resources?: { readonly requests?: Json; readonly limits?: Json }
  readonly env?: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: unknown }[]
  readonly livenessProbe?: Probe
  readonly readinessProbe?: Probe
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[]
}

interface Probe {
  readonly httpGet?: { readonly path?: string }
}

export interface PodSpec {
  readonly containers: readonly Container[]
  readonly initContainers?: readonly Container[]
  readonly securityContext?: {
    readonly runAsNonRoot?: boolean
    readonly runAsUser?: number
    readonly seccompProfile?: { readonly type: string }
  }
  readonly automountServiceAccountToken?: boolean
  readonly hostNetwork?: boolean
  readonly hostPID?: boolean
  readonly volumes?: readonly Json[]
  readonly topologySpreadConstraints?: readonly unknown[]
}

/** The pods that a manifest makes; undefined where it makes none. */
export function podOf(manifest: Manifest): PodSpec | undefined {
  const spec = manifest['spec'] as Json | undefined
  const job = (spec?.['jobTemplate'] as { readonly spec: Json } | undefined)?.spec
  return ((job ?? spec)?.['template'] as { readonly spec: PodSpec } | undefined)?.spec
}

/** What of a manifest leaves more open than it has to. */
export function looseIn(manifest: Manifest): readonly string[] {
  const pod = podOf(manifest)
  return [...(pod === undefined ? [] : looseInPod(pod)), ...looseByKind(manifest)]
}

function looseInPod(pod: PodSpec): readonly string[] {
  const found: string[] = []
  if (pod.securityContext?.runAsNonRoot !== true) found.push('it may run as root')
  if (pod.securityContext?.seccompProfile?.type !== 'RuntimeDefault') found.push('every system call is open')
  if (pod.automountServiceAccountToken !== false) found.push('it gets a token that it was not asked for')
  if (pod.hostNetwork === true || pod.hostPID === true) found.push("it has the node's network or processes")
  for (const volume of pod.volumes ?? []) if ('hostPath' in volume) found.push('it has a folder of the node')
  for (const one of [...(pod.initContainers ?? []), ...pod.containers])
    found.push(...looseInContainer(one, pod).map((text) => `${one.name}: ${text}`))
  return found
}

function looseInContainer(one: Container, pod: PodSpec): readonly string[] {
  const found: string[] = []
  const { securityContext: own = {} } = one
  if ((own.runAsUser ?? pod.securityContext?.runAsUser ?? 0) === 0) found.push('no user other than 0')
  if (own.privileged === true) found.push('it is privileged')
  if (own.allowPrivilegeEscalation !== false) found.push('it may gain privileges')
  if (own.readOnlyRootFilesystem !== true) found.push('its file system can be written')
  if (own.capabilities?.drop?.includes('ALL') !== true || own.capabilities.add !== undefined)
    found.push('it keeps capabilities')
  if (!/@sha256:[0-9a-f]{64}$/.test(one.image ?? '')) found.push('its image is not named by digest')
  if (one.resources?.requests === undefined || one.resources.limits?.['memory'] === undefined)
    found.push('it may take all memory of its node')
  for (const { name, value, valueFrom } of one.env ?? [])
    if (/(?:KEY|TOKEN|SECRET|PASSWORD)$/.test(name) && (value !== undefined || valueFrom !== undefined))
      found.push(`${name} holds a secret`)
  return found
}

function claimsOf(spec: Json | undefined): readonly { readonly spec: Json }[] {
  return (spec?.['volumeClaimTemplates'] ?? []) as readonly { readonly spec: Json }[]
}

/** Two processes in one home folder would both be right and get in each other's way. */
function looseInClaim(spec: Json | undefined): readonly string[] {
  return isDeepStrictEqual(spec?.['accessModes'], ['ReadWriteOnce']) ? [] : ['nodes share its volume']
}

interface Rule {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly verbs: readonly string[]
  readonly resourceNames?: readonly string[]
}

interface Peer {
  readonly namespaceSelector?: object
  readonly podSelector?: { readonly matchLabels?: object }
  readonly ipBlock?: IpBlock
}

interface IpBlock {
  readonly cidr: string
  readonly except?: readonly string[]
}

interface Policy {
  readonly policyTypes?: readonly string[]
  readonly ingress?: readonly { readonly from?: readonly Peer[]; readonly ports?: readonly unknown[] }[]
  readonly egress?: readonly { readonly to?: readonly Peer[]; readonly ports?: readonly unknown[] }[]
}

function looseByKind(manifest: Manifest): readonly string[] {
  const spec = manifest['spec'] as Json | undefined
  switch (manifest.kind) {
    case 'Role':
      return (manifest['rules'] as readonly Rule[]).flatMap(looseInRule)
    case 'ClusterRole':
    case 'ClusterRoleBinding':
      return ['it reaches beyond its namespace']
    case 'ServiceAccount':
      return manifest['automountServiceAccountToken'] === false ? [] : ['its pods get tokens unasked']
    case 'Secret':
      return 'data' in manifest || 'stringData' in manifest ? ['a secret stands in it'] : []
    case 'Service':
      return (spec?.['type'] ?? 'ClusterIP') === 'ClusterIP' ? [] : ['it is open beyond the cluster']
    case 'PersistentVolumeClaim':
      return looseInClaim(spec)
    case 'StatefulSet':
      return claimsOf(spec).flatMap((one) => looseInClaim(one.spec))
    case 'NetworkPolicy':
      return looseInPolicy(spec as Policy)
    default:
      return []
  }
}

function looseInRule({ apiGroups, resources, verbs, resourceNames = [] }: Rule): readonly string[] {
  const found: string[] = []
  if ([...apiGroups, ...resources, ...verbs].includes('*')) found.push('a rule has a wildcard')
  if (resourceNames.length === 0) found.push('a rule is for all names')
  if (resources.some((one) => one !== 'secrets')) found.push('a rule is for more than Secrets')
  for (const verb of verbs)
    if (!['get', 'list', 'watch', 'update'].includes(verb)) found.push(`a rule allows ${verb}`)
  return found
}

/** Where AWS, Google and Azure have it, over either protocol. */
const metadata = ['169.254.169.254', 'fd00:ec2::254', 'fd20:ce::254'].map((address) => ({
  address,
  family: address.includes(':') ? ('ipv6' as const) : ('ipv4' as const),
}))

function reachesMetadata({ cidr, except = [] }: IpBlock): boolean {
  const isIn = (range: string, { address, family }: (typeof metadata)[number]): boolean => {
    const [net = '', bits] = range.split('/')
    if ((isIP(net) === 6) !== (family === 'ipv6')) return false
    const list = new BlockList()
    list.addSubnet(net, Number(bits), family)
    return list.check(address, family)
  }
  return metadata.some((one) => isIn(cidr, one) && !except.some((range) => isIn(range, one)))
}

function looseInPolicy({ policyTypes = [], ingress = [], egress = [] }: Policy): readonly string[] {
  const found: string[] = []
  for (const type of ['Ingress', 'Egress']) if (!policyTypes.includes(type)) found.push(`${type} is open`)
  for (const { from = [], ports = [] } of ingress) {
    if (from.length === 0 || ports.length === 0) found.push('anybody may come in')
    for (const { podSelector } of from)
      if (Object.keys(podSelector?.matchLabels ?? {}).length === 0)
        found.push('pods without a label may come in')
  }
  for (const { to = [], ports = [] } of egress) {
    if (to.length === 0 || ports.length === 0) found.push('anything may be reached')
    for (const { ipBlock } of to)
      if (ipBlock !== undefined && reachesMetadata(ipBlock))
        found.push('the metadata service of a cloud may be reached')
  }
  return found
}

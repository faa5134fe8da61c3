// A local OpenAI for tests and for trying Keyturn out: models, chat, responses, the administration of keys, several
// edges that disagree, and every error that is known. docs/sandbox.md explains the knobs.

import type { Services } from './call.ts'
import { limits, systemNow, systemRandom, systemSleep } from './defaults.ts'
import { createKnobStore } from './faults.ts'
import { type IdentityMakers, identityMakers } from './identity-makers.ts'
import type { Knobs } from './knobs.ts'
import { createRateLimiter } from './rate-limits.ts'
import type { KeyKind, KeyRecord } from './records.ts'
import { type RequestRecord, startServer } from './server.ts'
import { TOKEN_PATH } from './token-exchange.ts'
import { keyState, openWorld, policyAt, type World } from './world.ts'

export { type ApiError, apiError, type ErrorDetails, type TaxonomyName, taxonomyNames } from './errors.ts'
export type { IdentityMapping, IdentityProviderOptions } from './identity-makers.ts'
export { knobsProblem } from './knob-checks.ts'
export {
  type AccountState,
  type BillingState,
  defaultKnobs,
  type ExchangeRefusal,
  type Fault,
  type FaultKind,
  type Knobs,
  type PerEdge,
  type WriteFamily,
} from './knobs.ts'
export { inferenceModels, retiredModels } from './models.ts'
export type { RequestRecord } from './server.ts'

export interface SandboxOptions {
  /** Address to listen on. Default 127.0.0.1. */
  readonly host?: string
  /** Default 0: any free port. */
  readonly port?: number
  /** Epoch milliseconds. All delays and expiries are measured with it. Default: the machine's clock. */
  readonly now?: () => number
  /** Default: the operating system's generator. It must not repeat itself. */
  readonly random?: (bytes: number) => Uint8Array
  /**
   * Where state survives a restart: replaced whole and fsynced before each write is answered, mode 0600. It holds
   * hashes of keys, never a key. Default: state lives in memory.
   */
  readonly stateFile?: string
  readonly knobs?: Partial<Knobs>
}

export interface KeyOptions {
  /** Default `set-up`. */
  readonly name?: string
  /** Default: none, which means every permission. */
  readonly scopes?: readonly string[]
  /** Default: no expiry. */
  readonly expiresInSeconds?: number
  /** Default: the sandbox's project. */
  readonly project?: string
  /**
   * True (the default) when every edge has known the key from the beginning; false lets the activation delay of each
   * edge run from now.
   */
  readonly settled?: boolean
}

export interface CreatedKey {
  readonly id: string
  readonly value: string
}

export interface SandboxKey {
  readonly id: string
  readonly name: string
  readonly kind: KeyKind
  readonly organization: string
  readonly project: string | null
  readonly serviceAccount: string | null
  readonly scopes: readonly string[]
  readonly state: 'alive' | 'deleted' | 'expired'
  /** Epoch milliseconds, as all instants here. */
  readonly createdAt: number
  readonly expiresAt: number | null
  readonly deletedAt: number | null
  readonly lastUsedAt: number | null
}

export interface Sandbox extends IdentityMakers {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  /** What an SDK wants as its base URL: `url` and `/v1`. */
  readonly baseUrl: string
  /** Where workload identities are exchanged. */
  readonly tokenUrl: string
  readonly organization: string
  readonly project: string
  readonly serviceAccount: string
  /** The project that refuses service accounts. */
  readonly defaultProject: string
  /** Another organisation with a project and a service account, for what must not be reachable. */
  readonly other: { readonly organization: string; readonly project: string; readonly serviceAccount: string }
  /** An administrator's key, minted at this start. Those of earlier starts stay valid. */
  adminKey(): string
  createAdminKey(options?: Omit<KeyOptions, 'project'> & { readonly organization?: string }): CreatedKey
  createServiceAccountKey(options?: KeyOptions & { readonly serviceAccount?: string }): CreatedKey
  /** A key that belongs to a person. `inactive`: the person has left the project. */
  createUserKey(options?: KeyOptions & { readonly ownerAccess?: 'active' | 'inactive' }): CreatedKey
  createOrganization(name: string): string
  createProject(name: string, organization?: string): string
  createServiceAccount(name: string, project?: string): string
  /** Deletes at the source of truth; the edges follow with their delays. Throws a TypeError on an unknown id. */
  deleteKey(id: string): void
  /** Every key that was ever made, without values. */
  keys(): SandboxKey[]
  /** Whether a key lives at the source of truth, whatever the edges still believe. Takes its value or its id. */
  isAlive(secretOrId: string): boolean
  /** Merges. Throws a TypeError that names an unknown knob or a value out of range. */
  set(knobs: Partial<Knobs>): void
  knobs(): Knobs
  /** Back to the knobs of the start. */
  reset(): void
  /** The latest requests, oldest first, bounded. Never with a secret. */
  requests(): RequestRecord[]
  /** Ends open streams cleanly and resolves when every connection is closed. */
  close(): Promise<void>
}

/** Starts a sandbox. Rejects when the port is taken or the state file is not readable. */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const { host = '127.0.0.1', port = 0, random = systemRandom } = options
  const knobs = createKnobStore(options.knobs ?? {})
  const world = openWorld({ now: options.now ?? systemNow, random, stateFile: options.stateFile })
  const { now } = world
  const services: Services = { world, knobs, limiter: createRateLimiter(), now, random, sleep: systemSleep }
  const makers = keyMakers(world)
  const admin = makers.createAdminKey({ name: 'Sandbox admin' })
  const { home, other } = world.data
  const keys = () => world.keys().map((key) => keyView(key, now()))
  const deleteKey = (id: string): boolean => {
    const key = world.key(id)
    if (key === undefined) return false
    world.deleteKeys([key], now())
    return true
  }
  const server = await startServer({
    services,
    host,
    port,
    control: {
      deleteKey,
      state: () => ({
        ...home,
        other,
        now: now(),
        projects: world.data.projects,
        serviceAccounts: world.data.serviceAccounts,
        keys: keys().slice(-limits.requestLogMax),
        knobs: knobs.current(),
      }),
    },
  })
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${server.port}`
  return {
    url,
    baseUrl: `${url}/v1`,
    tokenUrl: `${url}${TOKEN_PATH}`,
    ...home,
    other,
    adminKey: () => admin.value,
    ...makers,
    ...identityMakers(world),
    deleteKey: (id) => {
      if (!deleteKey(id)) throw new TypeError(`The sandbox has no key with the id ${id}.`)
    },
    keys,
    isAlive: (secretOrId) => {
      const key = world.keyByValue(secretOrId) ?? world.key(secretOrId)
      return key !== undefined && key.createdAt <= now() && keyState(key, now()) === 'alive'
    },
    set: (patch) => knobs.set(patch),
    knobs: () => knobs.current(),
    reset: () => knobs.reset(),
    requests: () => server.requests.map((record) => ({ ...record })),
    close: () => server.close(),
  }
}

function keyMakers(
  world: World,
): Pick<
  Sandbox,
  | 'createAdminKey'
  | 'createServiceAccountKey'
  | 'createUserKey'
  | 'createOrganization'
  | 'createProject'
  | 'createServiceAccount'
> {
  const { now } = world
  const { home } = world.data
  const common = (options: Omit<KeyOptions, 'project'>) => ({
    name: options.name ?? 'set-up',
    scopes: options.scopes ?? [],
    expiresAt: options.expiresInSeconds === undefined ? null : now() + options.expiresInSeconds * 1000,
    settled: options.settled ?? true,
  })
  const projectOf = (id: string) => {
    const project = world.project(id)
    if (project === undefined) throw new TypeError(`The sandbox has no project with the id ${id}.`)
    return project
  }
  const made = ({ record, value }: { record: KeyRecord; value: string }) => ({ id: record.id, value })
  const userOf = (organization: string) => {
    const user = world.data.users.find((entry) => entry.organization === organization)
    if (user === undefined)
      throw new TypeError(`The sandbox has no organization with the id ${organization}.`)
    return user.id
  }
  return {
    createAdminKey: (options = {}) => {
      const organization = options.organization ?? home.organization
      const user = userOf(organization)
      return made(world.addKey({ ...common(options), kind: 'admin', organization, project: null, user }))
    },
    createServiceAccountKey: (options = {}) => {
      const account = world.serviceAccount(options.serviceAccount ?? firstAccount(world, options.project))
      if (account === undefined) throw new TypeError('The sandbox has no such service account.')
      const { organization, id } = projectOf(account.project)
      if (options.project !== undefined && options.project !== id)
        throw new TypeError('The service account belongs to another project.')
      const kind = 'service_account'
      return made(
        world.addKey({ ...common(options), kind, organization, project: id, serviceAccount: account.id }),
      )
    },
    createUserKey: (options = {}) => {
      const { organization, id } = projectOf(options.project ?? home.project)
      const ownerAccess = options.ownerAccess ?? 'active'
      const user = userOf(organization)
      return made(
        world.addKey({ ...common(options), kind: 'user', organization, project: id, user, ownerAccess }),
      )
    },
    createOrganization: (name) => world.addOrganization(name).id,
    createProject: (name, organization = home.organization) => {
      userOf(organization)
      return world.addProject(organization, name).id
    },
    createServiceAccount: (name, project = home.project) =>
      world.addServiceAccount({ project: projectOf(project).id, name }).id,
  }
}

function firstAccount(world: World, project: string | undefined): string {
  if (project === undefined) return world.data.home.serviceAccount
  const account = world.serviceAccountsOf(project)[0]
  if (account === undefined) throw new TypeError(`The project ${project} has no service account.`)
  return account.id
}

function keyView(key: KeyRecord, at: number): SandboxKey {
  const { scopes, expiresAt } = policyAt(key, at)
  return {
    id: key.id,
    name: key.name,
    kind: key.kind,
    organization: key.organization,
    project: key.project,
    serviceAccount: key.serviceAccount,
    scopes,
    state: keyState(key, at),
    createdAt: key.createdAt,
    expiresAt,
    deletedAt: key.deletedAt,
    lastUsedAt: key.uses.at(-1) ?? null,
  }
}

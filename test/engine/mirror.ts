import { KeyturnError } from '../../src/core/errors.ts'
import type { PermissionFinding, SecretStore } from '../../src/core/ports.ts'
import type { Secret } from '../../src/core/secret.ts'
import type { VersionId } from '../../src/core/types.ts'
import type { MirrorSetup } from '../../src/engine/setup.ts'
import { type MemoryContent, openMemoryStore } from '../../src/stores/memory.ts'
import type { FakeKey } from './scripted-issuer.ts'
import type { World } from './world.ts'

/** A mirror in memory that can be taken away, and changed by hand. */
export class Mirror {
  readonly content: MemoryContent = new Map()
  readonly calls: string[] = []
  fails: KeyturnError | undefined
  /** Only calls of this name fail, or wait. */
  only: string | undefined
  gate: Promise<void> | undefined
  findings: readonly PermissionFinding[] = []
  readonly setup: MirrorSetup
  readonly #inner: SecretStore
  readonly #world: World
  #drawn = 0

  constructor(world: World, id: string) {
    this.#world = world
    this.#inner = openMemoryStore({ content: this.content }, { system: world.time })
    this.setup = { id, ref: 'copy', store: this.#store() }
  }

  #store(): SecretStore {
    const inner = this.#inner
    const through = async <Result>(call: string, work: () => Promise<Result>): Promise<Result> => {
      this.calls.push(call)
      if (this.only !== undefined && this.only !== call) return work()
      await this.gate
      if (this.fails !== undefined) throw this.fails
      return work()
    }
    return {
      capabilities: inner.capabilities,
      read: (ref, options) => through('read', () => inner.read(ref, options)),
      describe: (ref) => through('describe', () => inner.describe(ref)),
      stage: (ref, request) => through('stage', () => inner.stage(ref, request)),
      promote: (ref, request) => through('promote', () => inner.promote(ref, request)),
      retire: (ref, request) => through('retire', () => inner.retire(ref, request)),
      destroy: (ref, version) => through('destroy', () => inner.destroy(ref, version)),
      annotate: (ref, version, meta) => through('annotate', () => inner.annotate(ref, version, meta)),
      check: () => through('check', async () => this.findings),
      close: () => inner.close(),
    }
  }

  away(): void {
    this.fails = new KeyturnError('store_unreachable', 'The other cloud cannot be reached.', {
      fix: 'Look at its status page.',
      retryable: true,
    })
  }

  back(): void {
    this.fails = undefined
  }

  /** What its readers get. */
  current(): { readonly version: VersionId; readonly secret: Secret } | undefined {
    const record = this.content.get('copy')
    const version = record?.shelf.current
    const secret = version === undefined ? undefined : record?.values.get(version)
    return version === undefined || secret === undefined ? undefined : { version, secret }
  }

  key(): FakeKey | undefined {
    const current = this.current()
    return this.#world.issuer.keys.find((one) => current?.secret.equals(one.secret) === true)
  }

  holds(key: FakeKey | undefined): boolean {
    const values = [...(this.content.get('copy')?.values.values() ?? [])]
    return key !== undefined && values.some((one) => one.equals(key.secret))
  }

  /** As a person does in the other cloud's console. */
  async byHand(secret: Secret, version = `by-hand-${++this.#drawn}`): Promise<void> {
    const fence = this.content.get('copy')?.shelf.fence ?? 0
    const expectCurrent = this.content.get('copy')?.shelf.current
    await this.#inner.stage('copy', { version, secret, meta: {}, fence })
    await this.#inner.promote('copy', { to: version, expectCurrent, fence })
  }
}

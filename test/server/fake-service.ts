import type {
  CredentialSummary,
  LeaseSummary,
  RejectionReport,
  RotationRequest,
  RotationSummary,
  VersionSummary,
} from '../../src/api/types.ts'
import { KeyturnError } from '../../src/core/errors.ts'
import type { Report } from '../../src/core/report.ts'
import { Secret } from '../../src/core/secret.ts'
import type { CredentialEvent, NewCredentialEvent, VerdictKind } from '../../src/core/types.ts'
import type { HandOut, NoHandOut, Service } from '../../src/engine/service.ts'

const at = Date.UTC(2026, 0, 2, 3, 4, 5)
const iso = new Date(at).toISOString()

/** What every key of these tests contains, so that it can be searched for. Joined here: no scanner shall find a key. */
const readySpare = {
  ready: 1,
  version: 'v-spare',
  addedAt: '2026-11-21T01:02:03.000Z',
  refreshAt: null,
  reason: null,
  nextTryAt: null,
}

export const canary = ['canary', 'in', 'the', 'mine'].join('_')

export function keyNumber(number: number): string {
  return ['sk', 'proj', `${canary}${number}`, 'x'.repeat(40)].join('-')
}

/** A Service in memory that behaves as engine/service.ts documents, with handles to make things happen. */
export interface FakeService extends Service {
  /** Another key becomes current, as after a rotation. */
  promote(name: string): void
  setVerdict(name: string, verdict: VerdictKind): void
  /** The same version and verdict, proven once more. */
  reprove(name: string): void
  withdraw(name: string): void
  /** From now on this replica lacks a key that others have. */
  leaveService(): void
  /** An older version that lives on beside the current one; its id. */
  keepOlder(name: string): string
  readonly revoked: {
    readonly version: string
    readonly reason: string | undefined
    readonly actor: string
  }[]
  emit(event: Partial<NewCredentialEvent> & { readonly credential: string }): CredentialEvent
  /** Empties the event log and starts counting again, as when a ledger is lost. */
  loseLedger(): void
  readonly touches: { name: string; instance: string; app: string; generation: number }[]
  readonly ends: { name: string; instance: string; app: string }[]
  readonly reports: { name: string; report: RejectionReport; actor: string }[]
  readonly rotationsStarted: RotationRequest[]
  readonly acts: string[]
  /** Makes the next call of `rotate` fail. */
  failNextRotation: KeyturnError | undefined
  /** Whether summaries tell of the latest rotation. Default false. */
  tellsRotations: boolean
  /** When every key ends. Default: never. */
  keyEndsAt: string | null
  /** Throws something that is no KeyturnError, with a key in its message. */
  breakSummaries: boolean
  /** Waited for before events are read. */
  eventsGate: Promise<void>
}

interface Entry {
  handOut: HandOut | NoHandOut
  events: CredentialEvent[]
}

export function createFakeService(
  names: readonly string[] = ['openai', 'openai-prod'],
  /** Names among them. Unlike the engine's, they would be handed out: what refuses them here is the server alone. */
  internal: readonly string[] = [],
): FakeService {
  const entries = new Map<string, Entry>()
  const handOutListeners = new Set<(name: string) => void>()
  const eventListeners = new Set<(event: CredentialEvent) => void>()
  const rotations: RotationSummary[] = []
  const leases: (LeaseSummary & { readonly name: string })[] = []
  const older = new Map<string, VersionSummary[]>()
  let keys = 0
  let isInService = true

  const entry = (name: string): Entry => {
    const found = entries.get(name)
    if (found === undefined) throw new KeyturnError('not_found', 'There is no such credential.')
    return found
  }
  const setHandOut = (name: string, handOut: HandOut | NoHandOut) => {
    entry(name).handOut = handOut
    for (const listener of handOutListeners) listener(name)
  }
  const newHandOut = (name: string, generation: number): HandOut => {
    keys += 1
    return {
      kind: 'available',
      name,
      version: `version-${keys}`,
      fingerprint: `f${String(keys).padStart(11, '0')}`,
      stage: 'current',
      secret: new Secret(keyNumber(keys)),
      organization: 'org-test',
      project: undefined,
      baseUrl: 'https://api.openai.com/v1',
      verdict: 'valid',
      verifiedAt: at,
      rotatesAt: at + 86_400_000,
      staleAfterMs: 3_600_000,
      generation,
    }
  }
  for (const name of names) entries.set(name, { handOut: newHandOut(name, 1), events: [] })

  const available = (name: string): HandOut => {
    const { handOut } = entry(name)
    if (handOut.kind !== 'available') throw new KeyturnError('no_verified_key', handOut.summary)
    return handOut
  }
  const summary = (name: string): CredentialSummary => {
    if (service.breakSummaries) throw new TypeError(`cannot read ${keyNumber(0)}`)
    const { handOut } = entry(name)
    return {
      name,
      isInternal: internal.includes(name),
      generation: handOut.generation,
      current:
        handOut.kind === 'available' ? { ...versionSummary(handOut), expiresAt: service.keyEndsAt } : null,
      versions: [
        ...(handOut.kind === 'available' ? [versionSummary(handOut)] : []),
        ...(older.get(name) ?? []),
      ],
      rotation: service.tellsRotations
        ? (rotations.find(({ credential }) => credential === name) ?? null)
        : null,
      retirements: [],
      standby: null,
      mirrors: [],
      rotatesAt: iso,
      blackoutUntil: null,
      troubles: [],
      store: 'memory',
      issuer: 'openai',
    }
  }
  const rotation = (name: string, id: string): RotationSummary => {
    const found = rotations.find((candidate) => candidate.credential === name && candidate.id === id)
    if (found === undefined) throw new KeyturnError('not_found', 'There is no such rotation.')
    return found
  }

  const service: FakeService = {
    names,
    isInternal: (name) => internal.includes(name),
    touches: [],
    ends: [],
    reports: [],
    rotationsStarted: [],
    tellsRotations: false,
    keyEndsAt: null,
    acts: [],
    revoked: [],
    failNextRotation: undefined,
    breakSummaries: false,
    eventsGate: Promise.resolve(),
    handOut: (name) => entries.get(name)?.handOut,
    onHandOut(listener) {
      handOutListeners.add(listener)
      return () => handOutListeners.delete(listener)
    },
    onEvent(listener) {
      eventListeners.add(listener)
      return () => eventListeners.delete(listener)
    },
    async events(name, afterId) {
      await service.eventsGate
      return entry(name)
        .events.filter(({ id }) => id > afterId)
        .slice(0, 500)
    },
    lastEventId: async (name) => entry(name).events.at(-1)?.id ?? 0,
    summary: async (name) => summary(name),
    summaries: async () => names.map(summary),
    versions: async (name) => summary(name).versions,
    async report(name, report, actor) {
      service.reports.push({ name, report, actor: actor.name })
      return {
        generation: entry(name).handOut.generation,
        version: available(name).version,
        verdict: 'valid',
      }
    },
    verify: async (name) => summary(name),
    blastRadius: async (name, asked, isListening) => {
      const current = available(name)
      const kept = older.get(name)?.find((one) => one.version === asked)
      const { version, fingerprint, stage } = kept ?? current
      return {
        credential: name,
        version,
        fingerprint,
        stage,
        keyId: null,
        isCurrent: kept === undefined,
        createdAt: iso,
        lastUse: 'unknown',
        lastUsedAt: null,
        holders: leases
          .filter((lease) => lease.name === name)
          .map(({ name: _name, ...lease }) => ({
            ...lease,
            isSilent: false,
            isListening: isListening(lease.app, lease.instance),
          })),
        mirrors: [],
        sharedWith: [],
        spare: null,
      }
    },
    async rotate(name, request, actor) {
      service.rotationsStarted.push(request)
      const failure = service.failNextRotation
      service.failNextRotation = undefined
      if (failure !== undefined) throw failure
      const started: RotationSummary = {
        id: `rotation-${rotations.length + 1}`,
        credential: name,
        mode: request.mode ?? 'normal',
        reason: request.reason ?? '',
        requestedBy: actor.name,
        phase: 'minting',
        isPaused: false,
        outcome: null,
        from: available(name).version,
        to: null,
        startedAt: iso,
        phaseAt: iso,
        deadlineAt: null,
        endedAt: null,
        halt: null,
        failure: null,
        permissions: [],
        residue: [],
        steps: [],
        retirement: null,
      }
      rotations.unshift(started)
      return started
    },
    rotations: async (name) => rotations.filter(({ credential }) => credential === name),
    rotation: async (name, id) => rotation(name, id),
    rotationReport: async (name, id) => reportOn(rotation(name, id)),
    async versionReport() {
      throw new KeyturnError('not_found', 'There is no such version that was retired.')
    },
    async actOnRotation(name, id, act) {
      const found = rotation(name, id)
      service.acts.push(act)
      return { ...found, isPaused: act === 'pause' }
    },
    rollback: async (name) => summary(name),
    bring: async (name) => versionSummary(available(name)),
    async revoke(name, version, request, actor) {
      const kept = older.get(name)?.find((one) => one.version === version)
      if (kept !== undefined) {
        service.revoked.push({ version, reason: request.reason, actor: actor.name })
        return kept
      }
      if (version !== available(name).version)
        throw new KeyturnError('not_found', 'There is no such version.')
      throw new KeyturnError('last_working_key', `${name}: this is the last working key.`, {
        fix: 'Rotate first.',
      })
    },
    leases: async (name) =>
      leases.filter((lease) => lease.name === name).map(({ name: _name, ...lease }) => lease),
    touchLease(lease) {
      service.touches.push(lease)
      leases.push({ ...lease, seenAt: iso })
    },
    async dropLease(name, instance) {
      const index = leases.findIndex((lease) => lease.name === name && lease.instance === instance)
      if (index < 0) throw new KeyturnError('not_found', 'There is no such lease.')
      leases.splice(index, 1)
    },
    async endLease(ended) {
      service.ends.push(ended)
      for (let index = leases.length - 1; index >= 0; index -= 1) {
        const lease = leases[index]
        const isOf =
          lease?.name === ended.name && lease.instance === ended.instance && lease.app === ended.app
        if (isOf) leases.splice(index, 1)
      }
    },
    standby: (name) => (name === 'openai' ? readySpare : null),
    inventory: async () => ({ at: new Date(0).toISOString(), items: [], gaps: [] }),
    readiness: () => ({
      ready: names.every((name) => entry(name).handOut.kind === 'available'),
      isInService,
      version: '0.0.0',
      isSandbox: true,
      credentials: names.map((name) => ({
        name,
        isInternal: internal.includes(name),
        ready: entry(name).handOut.kind === 'available',
        verdict: 'valid',
        trouble: null,
      })),
    }),
    leaveService() {
      isInService = false
    },
    promote(name) {
      setHandOut(name, newHandOut(name, entry(name).handOut.generation + 1))
    },
    setVerdict(name, verdict) {
      setHandOut(name, { ...available(name), verdict })
    },
    reprove(name) {
      const handOut = available(name)
      setHandOut(name, { ...handOut, verifiedAt: handOut.verifiedAt + 1_000 })
    },
    withdraw(name) {
      setHandOut(name, {
        kind: 'unavailable',
        name,
        since: at,
        summary: 'every key was refused',
        fix: 'Bring a key.',
        generation: entry(name).handOut.generation + 1,
      })
    },
    keepOlder(name) {
      const kept = versionSummary({ ...newHandOut(name, 0), stage: 'previous' })
      older.set(name, [...(older.get(name) ?? []), kept])
      return kept.version
    },
    emit(event) {
      const { events, handOut } = entry(event.credential)
      const whole: CredentialEvent = {
        at,
        kind: 'verdict',
        generation: handOut.generation,
        data: {},
        ...event,
        id: (events.at(-1)?.id ?? 0) + 1,
      }
      events.push(whole)
      for (const listener of eventListeners) listener(whole)
      return whole
    },
    loseLedger() {
      for (const { events } of entries.values()) events.length = 0
    },
  }
  return service
}

function versionSummary(handOut: HandOut): VersionSummary {
  return {
    version: handOut.version,
    stage: handOut.stage,
    origin: 'minted',
    fingerprint: handOut.fingerprint,
    keyId: 'key_test',
    organization: 'org-test',
    project: null,
    serviceAccount: null,
    addedAt: iso,
    createdAt: iso,
    expiresAt: null,
    promotedAt: iso,
    verifiedAt: iso,
    withdrawnAt: null,
    isCompromised: false,
    check: null,
  }
}

function reportOn({ id, credential, reason, requestedBy }: RotationSummary): Report {
  return {
    format: 'keyturn-report/1',
    subject: 'rotation',
    installation: 'inst1',
    keyturn: '0.0.0',
    credential,
    issuedAt: iso,
    summary: `${credential}: ${reason} by ${requestedBy}.`,
    isFinal: false,
    open: [`the rotation ${id} is minting`],
    remarks: [],
    rotation: null,
    retirements: [],
  }
}

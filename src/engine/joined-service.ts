import type { Cancel } from '../core/ports.ts'
import type { CredentialName } from '../core/types.ts'
import type { RunningService } from './service.ts'

/** Stored and federated credentials as one service; each name is one or the other. */
export function joinServices(stored: RunningService, federated: RunningService): RunningService {
  const own = new Set<CredentialName>(federated.names)
  const of = (name: CredentialName): RunningService => (own.has(name) ? federated : stored)
  const both = (one: Cancel, other: Cancel): Cancel => {
    return () => {
      one()
      other()
    }
  }
  return {
    names: [...stored.names, ...federated.names],
    isInternal: (name) => of(name).isInternal(name),
    handOut: (name) => of(name).handOut(name),
    onHandOut: (listener) => both(stored.onHandOut(listener), federated.onHandOut(listener)),
    onEvent: (listener) => both(stored.onEvent(listener), federated.onEvent(listener)),
    events: (name, afterId) => of(name).events(name, afterId),
    lastEventId: (name) => of(name).lastEventId(name),
    summary: (name) => of(name).summary(name),
    summaries: async () => [...(await stored.summaries()), ...(await federated.summaries())],
    versions: (name) => of(name).versions(name),
    report: (name, report, actor) => of(name).report(name, report, actor),
    verify: (name, actor) => of(name).verify(name, actor),
    rotate: (name, request, actor) => of(name).rotate(name, request, actor),
    rotations: (name) => of(name).rotations(name),
    rotation: (name, id) => of(name).rotation(name, id),
    rotationReport: (name, id) => of(name).rotationReport(name, id),
    versionReport: (name, version) => of(name).versionReport(name, version),
    actOnRotation: (name, id, act, actor) => of(name).actOnRotation(name, id, act, actor),
    rollback: (name, request, actor) => of(name).rollback(name, request, actor),
    bring: (name, request, actor) => of(name).bring(name, request, actor),
    revoke: (name, version, request, actor) => of(name).revoke(name, version, request, actor),
    blastRadius: (name, version, isListening) => of(name).blastRadius(name, version, isListening),
    leases: (name) => of(name).leases(name),
    touchLease: (lease) => of(lease.name).touchLease(lease),
    dropLease: (name, instance, actor) => of(name).dropLease(name, instance, actor),
    endLease: (lease) => of(lease.name).endLease(lease),
    standby: (name) => of(name).standby(name),
    // Tokens that are exchanged are no keys, and stand in no list.
    inventory: () => stored.inventory(),
    readiness() {
      const one = stored.readiness()
      const other = federated.readiness()
      const credentials = [...one.credentials, ...other.credentials]
      const isInService = one.isInService && other.isInService
      return { ...one, ready: one.ready && other.ready, isInService, credentials }
    },
    steer: (name, request) => of(name).steer(name, request),
    async tick() {
      await Promise.all([stored.tick(), federated.tick()])
    },
    // The stored ones' service closes the ledger, so it goes last.
    async stop() {
      await federated.stop()
      await stored.stop()
    },
  }
}

// A service with many credentials in virtual time: what it costs to have them, and when it asks OpenAI.
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Ledger } from '../../src/core/ports.ts'
import type * as SecretModule from '../../src/core/secret.ts'
import type * as Types from '../../src/core/types.ts'
import type * as Engine from '../../src/engine/create-service.ts'
import type * as Cron from '../../src/engine/cron.ts'
import type * as Sqlite from '../../src/ledger/sqlite.ts'
import type * as Metrics from '../../src/server/metrics.ts'
import type * as Memory from '../../src/stores/memory.ts'
import type * as SystemModule from '../../src/system.ts'
import type * as RecorderModule from '../../src/telemetry/recorder.ts'
import { VirtualClock } from '../lib/virtual-clock.ts'

const root = new URL(`../../${process.env['BENCH_ROOT'] ?? 'dist'}/`, import.meta.url)
const ending = process.env['BENCH_ROOT'] === 'src' ? 'ts' : 'js'
const load = <Module>(path: string): Promise<Module> =>
  import(new URL(`${path}.${ending}`, root).href) as Promise<Module>
const { createService } = await load<typeof Engine>('engine/create-service')
const { createOccurrences } = await load<typeof Cron>('engine/cron')
const { openSqliteLedger } = await load<typeof Sqlite>('ledger/sqlite')
const { openMemoryStore } = await load<typeof Memory>('stores/memory')
const { createMetrics } = await load<typeof Metrics>('server/metrics')
const { createSystem } = await load<typeof SystemModule>('system')
const { createRecorder } = await load<typeof RecorderModule>('telemetry/recorder')
const { Secret } = await load<typeof SecretModule>('core/secret')

const minuteMs = 60_000
const startAt = Date.UTC(2026, 0, 5, 12)

interface Order {
  readonly folder: string
  readonly count: number
  readonly minutes: number
  readonly verifyEveryMs: number
}

process.on('message', (order: Order) => {
  measure(order).then(
    (result) => process.send?.(result),
    (error: unknown) => {
      process.stderr.write(`${error instanceof Error ? error.stack : 'the measurement failed'}\n`)
      process.exit(1)
    },
  )
})

async function measure({ folder, count, minutes, verifyEveryMs }: Order): Promise<object> {
  const clock = new VirtualClock(startAt)
  const names = Array.from({ length: count }, (_, index) => `app-${index}`)
  const content: Memory.MemoryContent = new Map()
  const initial = Object.fromEntries(
    names.map((name) => [
      name,
      { version: `v-${name}`, secret: new Secret(`sk-svcacct-${name}-${'k'.repeat(140)}`), meta: {} },
    ]),
  )
  const store = openMemoryStore({ content, initial }, { system: clock })
  let reads = 0
  const countedStore: typeof store = {
    ...store,
    read: (ref, options) => {
      reads += 1
      return store.read(ref, options)
    },
  }
  let writes = 0
  const probes: number[] = []
  const issuer = {
    kind: 'openai',
    canMint: false,
    baseUrl: 'https://api.openai.com/v1',
    verify: async () => {
      probes.push(clock.now())
      await new Promise<void>((resolve) => void clock.after(80, resolve))
      return [
        {
          kind: 'answer' as const,
          probe: 'models' as const,
          status: 200,
          isIssuers: true,
          organization: 'org-ours',
          processingMs: 5,
        },
      ] as never
    },
    close: async () => undefined,
  }
  const collect = globalThis.gc ?? (() => undefined)
  collect()
  const before = process.memoryUsage()
  const path = join(folder, 'ledger.db')
  const open = (): Promise<Awaited<ReturnType<typeof createService>>> =>
    createService({
      setups: names.map((name) => ({
        name,
        ref: name,
        store: countedStore,
        mirrors: [],
        issuer,
        expected: { organization: 'org-ours' },
        mintScopes: [],
        policy: policyOf(verifyEveryMs),
        schedule: undefined,
      })),
      deps: {
        system: clock,
        log: () => undefined,
        ledger: counted(openSqliteLedger({ path }), () => (writes += 1)),
        occurrences: createOccurrences(),
        owner: 'this-host',
        installation: 'bench',
      },
      beat: beatOf(clock),
      version: 'bench',
      isSandbox: false,
      close: [],
    })
  const openedAt = performance.now()
  let service = await open()
  const firstOpenMs = performance.now() - openedAt
  let waitedMs = 0
  while (!names.every((name) => service.handOut(name)?.kind === 'available')) {
    await clock.advance(1_000)
    waitedMs += 1_000
    if (waitedMs > 30 * minuteMs) throw new Error('not every credential got its key')
  }
  const firstStartMs = performance.now() - openedAt
  await clock.advance(7 * minuteMs)
  collect()
  collect()
  const after = process.memoryUsage()
  probes.length = 0
  reads = 0
  writes = 0
  const cpu = process.cpuUsage()
  const wallAt = performance.now()
  const measuredFrom = clock.now()
  await clock.advance(minutes * minuteMs)
  const used = process.cpuUsage(cpu)
  const wallMs = performance.now() - wallAt
  const perMinute = countsOf(probes, measuredFrom, minutes)
  const [probesCount, readsCount, writesCount] = [probes.length, reads, writes]
  const scraped = await scrape(service)
  const stopping = service.stop()
  let isStopped = false
  void stopping.then(() => (isStopped = true))
  while (!isStopped) await clock.advance(1_000)
  // A night in which nobody ran: every check is late when it starts again.
  await clock.advance(12 * 60 * minuteMs)
  const restartedAt = performance.now()
  service = await open()
  const restartedFrom = clock.now()
  while (!names.every((name) => service.handOut(name)?.kind === 'available')) await clock.advance(50)
  const restartMs = performance.now() - restartedAt
  probes.length = 0
  await clock.advance(minutes * minuteMs)
  return {
    firstOpenMs,
    firstStartMs,
    restartMs,
    liveBytes: after.heapUsed + after.external - before.heapUsed - before.external,
    rssTotalBytes: after.rss,
    cpuMsPerMinute: (used.user + used.system) / 1_000 / minutes,
    wallMsPerMinute: wallMs / minutes,
    probesPerMinute: probesCount / minutes,
    readsPerMinute: readsCount / minutes,
    writesPerMinute: writesCount / minutes,
    perMinute,
    nightPerMinute: countsOf(probes, restartedFrom, minutes),
    ledgerBytes: statSync(path).size,
    ...scraped,
  }
}

/** One answer of /metrics, after others that load and warm up what it needs. */
async function scrape(service: Awaited<ReturnType<typeof createService>>): Promise<object> {
  // Between two turns of others: what this thread used of a processor, whatever else the machine does meanwhile.
  let from = process.threadCpuUsage()
  let pieceMs = 0
  const system = createSystem()
  const noted: typeof system = {
    ...system,
    after(delayMs, callback) {
      const { user, system: kernel } = process.threadCpuUsage(from)
      pieceMs = Math.max(pieceMs, (user + kernel) / 1_000)
      return system.after(delayMs, () => {
        from = process.threadCpuUsage()
        callback()
      })
    },
  }
  const metrics = createMetrics({
    service,
    system: noted,
    recorder: createRecorder(),
    leases: { census: () => new Map() },
    streams: () => 0,
    waiters: () => 0,
    version: 'bench',
    isSandbox: false,
  })
  for (let warm = 0; warm < 3; warm += 1) await metrics.render('prometheus')
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const cpu = process.cpuUsage()
  from = process.threadCpuUsage()
  pieceMs = 0
  const text = await metrics.render('prometheus')
  const used = process.cpuUsage(cpu)
  delay.disable()
  return {
    scrapeMs: (used.user + used.system) / 1_000,
    scrapeBlockMs: delay.max / 1e6,
    scrapePieceMs: pieceMs,
    scrapeLines: text.split('\n').length,
  }
}

function countsOf(instants: readonly number[], from: number, minutes: number): readonly number[] {
  const counts = Array.from({ length: minutes }, () => 0)
  for (const at of instants) {
    const minute = Math.min(minutes - 1, Math.floor((at - from) / minuteMs))
    counts[minute] = (counts[minute] ?? 0) + 1
  }
  return counts
}

function counted(ledger: Ledger, onWrite: () => void): Ledger {
  return {
    ...ledger,
    async claim(request) {
      const claims = await ledger.claim(request)
      for (const _ of claims) onWrite()
      return claims
    },
    commit(commit) {
      onWrite()
      return ledger.commit(commit)
    },
    release(request) {
      onWrite()
      return ledger.release(request)
    },
  }
}

function beatOf(clock: VirtualClock) {
  let isStopped = false
  return {
    start(onBeat: () => void) {
      const again = (): void => {
        if (isStopped) return
        onBeat()
        clock.after(1_000, again)
      }
      clock.after(1_000, again)
    },
    stop() {
      isStopped = true
    },
  }
}

/** The defaults of the configuration. */
function policyOf(verifyEveryMs: number): Types.Policy {
  return {
    canMint: false,
    isManual: false,
    storeWritable: false,
    mirrors: [],
    overlapMs: 24 * 60 * minuteMs,
    drainLimitMs: 7 * 24 * 60 * minuteMs,
    afterLimit: 'wait',
    quietMs: 5 * minuteMs,
    provingCount: 3,
    provingSettleMs: 10_000,
    activationGraceMs: minuteMs,
    attemptsMax: 3,
    phaseDeadlineMs: 15 * minuteMs,
    retryBaseMs: 500,
    retryMaxMs: minuteMs,
    verifyEveryMs,
    verifyCloselyEveryMs: 30_000,
    verifyCloselyForMs: minuteMs,
    rejectionGapMs: 300,
    automaticPerDayMax: 3,
    deadProbes: 3,
    deadSpanMs: 2 * minuteMs,
    deadLimitMs: 30 * minuteMs,
    storePollMs: minuteMs,
    pendingExpirySeconds: 86_400,
    keyExpirySeconds: 31_536_000,
    expiryManaged: false,
    staleAfterMs: 100 * 24 * 60 * minuteMs,
    standby: false,
    standbyMaxAgeMs: 90 * 24 * 60 * minuteMs,
  }
}

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative, resolve, sep } from 'node:path'
import { describePlace } from '../../src/doctor/finding.ts'
import type { DoctorReport, ReportedFinding } from '../../src/doctor/report.ts'
import { diagnose } from '../../src/main/doctor.ts'
import { startSandbox } from '../../src/sandbox/index.ts'
import { type Finding as PlantedFinding, projectNamed } from '../examples/manifest.ts'
import { type Planted, plant } from '../examples/plant.ts'
import { prepareSandbox } from '../examples/sandbox-state.ts'

export interface Judgement {
  /** Planted, and not told. */
  readonly missed: readonly string[]
  /** Told, and neither planted nor a second name of what is. */
  readonly invented: readonly string[]
  readonly findings: readonly ReportedFinding[]
  readonly report: DoctorReport
  readonly planted: Planted
}

/**
 * Plants a project, runs the doctor in it, and compares. Where OpenAI has a say in what is wrong, a sandbox stands in for
 * it, in the state that the project wants; else nothing is asked over the network.
 */
export async function judge(
  name: string,
  isOnline = projectNamed(name).manifest.sandbox !== undefined,
): Promise<Judgement> {
  const folder = await mkdtemp(join(tmpdir(), 'keyturn-planted-'))
  const sandbox = await startSandbox()
  try {
    const planted = await plant(name, join(folder, 'project'), prepareSandbox(name, sandbox))
    const { report } = await diagnose({
      env: {
        PATH: process.env['PATH'],
        HOME: folder,
        ...(isOnline ? { OPENAI_BASE_URL: sandbox.baseUrl } : {}),
        ...planted.env,
      },
      folder: planted.cwd,
      version: '0.0.0',
      askService: async () => undefined,
      options: {
        isOffline: !isOnline,
        allowedHosts: [],
        isBillable: isOnline,
        // As long as all steps together: no machine is that slow.
        stepTimeoutMs: 9_000,
        isThorough: false,
      },
      compare: [],
      log: () => undefined,
      onStep: () => undefined,
    })
    return { ...compared(planted, report.findings), findings: report.findings, report, planted }
  } finally {
    await sandbox.close()
    await rm(folder, { recursive: true, force: true })
  }
}

function compared(
  planted: Planted,
  findings: readonly ReportedFinding[],
): Pick<Judgement, 'missed' | 'invented'> {
  const { manifest } = planted
  const accepted = [...manifest.planted, ...(manifest.alsoAccepted ?? [])]
  const fits = (finding: ReportedFinding, entry: PlantedFinding): boolean => isSame(planted, finding, entry)
  /** The entry itself, and second names of the same cause: by row, or by place. */
  const names = (entry: PlantedFinding): readonly PlantedFinding[] => [
    entry,
    ...(manifest.alsoAccepted ?? []).filter(
      ({ row, file, line, variable }) =>
        row === entry.row || (file === entry.file && line === entry.line && variable === entry.variable),
    ),
  ]
  return {
    missed: manifest.planted
      .filter((entry) => !findings.some((finding) => names(entry).some((name) => fits(finding, name))))
      .map(
        ({ row, file, line, why }) => `${row} ${file ?? ''}${line === undefined ? '' : `:${line}`} ${why}`,
      ),
    invented: findings
      .filter((finding) => !accepted.some((entry) => fits(finding, entry)))
      .map(({ row, code, place, seen }) => {
        const where = place === null ? '' : describePlace(place)
        return `${row} ${code} ${where} ${seen}`
      }),
  }
}

function isSame({ folder, cwd }: Planted, { row, place }: ReportedFinding, entry: PlantedFinding): boolean {
  if (row !== entry.row) return false
  if (entry.file === undefined) return place?.kind !== 'file'
  if (place?.kind !== 'file') return false
  const path = relative(folder, resolve(cwd, place.path)).split(sep).join('/')
  return path === entry.file && (entry.line === undefined || place.line === entry.line)
}

import type { DoctorContext, DoctorOptions, Step } from '../../src/doctor/context.ts'
import type { Facts } from '../../src/doctor/facts.ts'
import type { Attempt, Network } from '../../src/doctor/network.ts'
import type { ProjectFiles } from '../../src/doctor/project/files.ts'
import { createSystem } from '../../src/system.ts'

export const emptyFacts: Facts = {
  key: undefined,
  keys: [],
  baseUrl: undefined,
  organization: undefined,
  project: undefined,
  models: [],
  dotenv: [],
  scan: undefined,
  keyturn: undefined,
}

/** A project of these files: their text, and for some what git and installers say. */
export function projectOf(
  texts: Readonly<Record<string, string>>,
  about: {
    readonly tracked?: readonly string[]
    readonly ignored?: readonly string[]
    readonly installed?: Readonly<Record<string, string>>
  } = {},
): ProjectFiles {
  const isRepository = about.tracked !== undefined || about.ignored !== undefined
  return {
    folder: '/project',
    list: () => Object.keys(texts).toSorted(),
    read: (path) => texts[path],
    isTracked: (path) => (isRepository ? (about.tracked ?? []).includes(path) : undefined),
    isIgnored: (path) => (isRepository ? (about.ignored ?? []).includes(path) : undefined),
    installed: (ecosystem, name) => about.installed?.[`${ecosystem}:${name}`],
  }
}

/** Where nothing is to be reached. */
const cutOff = async (): Promise<Attempt<never>> => ({ kind: 'failed', failure: 'connect', tookMs: 0 })
export const noNetwork: Network = { resolve: cutOff, connect: cutOff, tls: cutOff, request: cutOff }

export interface TestDoctor extends DoctorContext {
  readonly steps: readonly Step[]
  readonly logged: readonly string[]
}

/** A doctor in an empty project, without network, configuration or variables, but for what is given. */
export function testDoctor(
  given: Partial<Omit<DoctorContext, 'options'>> & { readonly options?: Partial<DoctorOptions> } = {},
): TestDoctor {
  const steps: Step[] = []
  const logged: string[] = []
  return {
    env: {},
    files: projectOf({}),
    network: noNetwork,
    system: createSystem(),
    log: (level, message) => void logged.push(`${level} ${message}`),
    openIssuer: () => {
      throw new TypeError('no issuer is to be asked here')
    },
    keyturn: async () => undefined,
    onStep: (step) => void steps.push(step),
    ...given,
    options: {
      isOffline: false,
      isBillable: false,
      isThorough: false,
      allowedHosts: [],
      // As long as all steps together: no machine is that slow.
      stepTimeoutMs: 9_000,
      ...given.options,
    },
    steps,
    logged,
  }
}

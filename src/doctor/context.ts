import type { Issuer, Log, System } from '../core/ports.ts'
import type { KeyturnFacts } from './facts.ts'
import type { Network } from './network.ts'
import type { ProjectFiles } from './project/files.ts'

export interface DoctorOptions {
  /** Nothing is sent anywhere: files and environment only. Default false. */
  readonly isOffline: boolean
  /** One token may be spent to see quota and limits. Default false. */
  readonly isBillable: boolean
  /** Stores are asked what Keyturn may do there, and the key of every credential is proven. Default false. */
  readonly isThorough: boolean
  /** A model that the app needs; default: those that the project's source names. */
  readonly model?: string
  /** Hosts that get the key though only the project's files name them, in lower case. Default: none. */
  readonly allowedHosts: readonly string[]
  /** For each step on the network, in milliseconds. 100 to 60,000, default 3,000. All steps together stay under 10 s. */
  readonly stepTimeoutMs: number
}

/** All that the doctor touches outside of itself. */
export interface DoctorContext {
  readonly env: Readonly<Record<string, string | undefined>>
  /** The files under the folder that is looked at. */
  readonly files: ProjectFiles
  readonly network: Network
  readonly system: System
  readonly log: Log
  readonly options: DoctorOptions
  /** An issuer over this address, as the service uses it. */
  readonly openIssuer: (address: {
    readonly baseUrl: string
    readonly organization?: string
    readonly project?: string
    readonly timeoutMs: number
    /** The proxy to go over, as a URL; undefined: straight, whatever the environment says. */
    readonly proxy?: string
  }) => Issuer
  /** What is known from a keyturn.yaml and a running service; undefined where there is neither. */
  readonly keyturn: () => Promise<KeyturnFacts | undefined>
  /** Tells of a step that begins or has ended, for whoever watches. */
  readonly onStep: (step: Step) => void
}

export interface Step {
  /** `files`, `dns`, `connect`, `tls`, `http`, `auth`, `organization`, `models`, `quota`, `clock`, `stores` … */
  readonly name: string
  /** For people: `api.openai.com:443`. */
  readonly about?: string
  readonly state: 'running' | 'passed' | 'failed' | 'skipped'
  /** Of an ended step, in milliseconds. */
  readonly tookMs?: number
}

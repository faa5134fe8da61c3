/** An implementation that others wrote, and that the suite of the stores runs against. */
export interface Emulator {
  readonly name: string
  /** The one that is installed; nothing else is ever taken. */
  readonly version: string
  /** What installing it needs and costs, for the line that says why it was left out. */
  readonly optIn?: string
  /** Puts it into `folder`, or finds it there. Throws NotInstallable where a registry or the machine does not have it. */
  install(folder: string): Promise<void>
  /** Starts it on a free port of this machine, with `folder` as scratch space that is taken away afterwards. */
  start(installed: string, folder: string): Promise<RunningEmulator>
  /** The file in test/emulators/suites. */
  readonly suite: string
}

export interface RunningEmulator {
  /** What the suite is told: addresses, tokens and paths. */
  readonly env: Readonly<Record<string, string>>
  stop(): Promise<void>
}

/** No fault of ours and no failure of the suite: the machine or a registry does not give it. */
export class NotInstallable extends Error {}

/** The files of the project that is looked at. Paths are relative to its folder, with `/`, as all places of findings are. */
export interface ProjectFiles {
  /** The folder itself, absolute, for messages. */
  readonly folder: string
  /**
   * Every file worth a look, sorted; without what installers and builds wrote (`node_modules`, `.venv`, `dist`, `.git` …),
   * binary files, and files over 1 MiB. At most 20,000.
   */
  list(): readonly string[]
  /**
   * Files by this name in the folders above, up to the repository's own, nearest first: `../.env`. They are read like all
   * others. Left out where nothing above may be looked at.
   */
  readonly above?: (name: string) => readonly string[]
  /** The workflows of the repository around the folder, read like all others. Left out where nothing above may be looked at. */
  readonly workflowsAbove?: () => readonly string[]
  /** Its text, byte order mark and line ends as they are; undefined where there is none, or it cannot be read. */
  read(path: string): string | undefined
  /** Whether git keeps it: committed or staged. Undefined where the folder is in no repository. */
  isTracked(path: string): boolean | undefined
  /** Whether git would ignore it. Undefined where the folder is in no repository. */
  isIgnored(path: string): boolean | undefined
  /** The version of an installed package, from `node_modules` or a virtual environment; undefined where it is not there. */
  installed(ecosystem: 'npm' | 'python', name: string): string | undefined
}

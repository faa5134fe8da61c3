/** Who reads a dotenv file. They agree on `NAME=value` and on little else. */
export type DialectName =
  /** The package `dotenv`, and the frameworks that use it: Next.js, Vite, Nuxt, Astro … */
  | 'dotenv'
  /** `node --env-file`. */
  | 'node'
  /** The package `python-dotenv`. */
  | 'python'
  /** `docker compose`: `.env` and `env_file`. */
  | 'compose'
  /** `docker run --env-file`: nothing is taken off, nothing is a comment but a line of its own. */
  | 'docker'
  /** `source .env`, direnv. */
  | 'shell'

export interface Dialect {
  /** For people. */
  readonly title: string
  readonly dropsByteOrderMark: boolean
  readonly takesExport: boolean
  readonly takesSpaces: boolean
  /** `NAME: value`. */
  readonly takesColon: boolean
  /** The quotes that are taken off. */
  readonly quotes: string
  /** What comes of a value whose quote is not closed on any line. */
  readonly unclosed: 'line' | 'nothing'
  /** What comes after a closing quote, on its line. */
  readonly afterQuote: 'dropped' | 'nothing'
  /** `hash`: from `#` on; `spaced`: from white space and `#` on. */
  readonly comment: 'hash' | 'spaced' | 'none'
  readonly keepsCarriageReturn: boolean
  /** `${NAME}` in a value. */
  readonly expands: boolean
}

const common = {
  dropsByteOrderMark: true,
  takesExport: true,
  takesSpaces: true,
  takesColon: false,
  quotes: '"\'',
  unclosed: 'nothing',
  afterQuote: 'nothing',
  comment: 'spaced',
  keepsCarriageReturn: false,
  expands: true,
} as const satisfies Omit<Dialect, 'title'>

/** As seen in November 2026: dotenv 17, Node 24, python-dotenv 1.2, compose 2.40, docker 29, bash 5. */
export const dialects: Readonly<Record<DialectName, Dialect>> = {
  dotenv: {
    ...common,
    title: 'dotenv',
    takesColon: true,
    quotes: '"\'`',
    unclosed: 'line',
    afterQuote: 'dropped',
    comment: 'hash',
    expands: false,
  },
  node: {
    ...common,
    title: 'node --env-file',
    dropsByteOrderMark: false,
    quotes: '"\'`',
    unclosed: 'line',
    afterQuote: 'dropped',
    comment: 'hash',
    expands: false,
  },
  python: { ...common, title: 'python-dotenv', dropsByteOrderMark: false },
  compose: { ...common, title: 'docker compose', takesColon: true },
  docker: {
    ...common,
    title: 'docker run --env-file',
    takesExport: false,
    takesSpaces: false,
    quotes: '',
    unclosed: 'line',
    comment: 'none',
    expands: false,
  },
  shell: {
    ...common,
    title: 'the shell',
    dropsByteOrderMark: false,
    takesSpaces: false,
    keepsCarriageReturn: true,
  },
}

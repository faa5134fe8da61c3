import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { z } from 'zod'

const name = z.string().regex(/^[a-z][a-z0-9-]*$/)

const finding = z.strictObject({
  /** The row of the table of causes: `T01` to `T40`. */
  row: z.string().regex(/^T(?:0[1-9]|[123]\d|40)$/),
  /** Where it is, from the top of the planted project. Absent where the cause is in the environment or at OpenAI. */
  file: z.string().optional(),
  line: z.int().min(1).optional(),
  /** What stands on that line, or somewhere in the file where there is no line. */
  text: z.string().min(1).optional(),
  variable: z.string().optional(),
  /** One sentence that a person understands. */
  why: z.string().regex(/^.{20,}\.$/),
})

const keyState = z.strictObject({
  /** Default: alive. */
  state: z.enum(['alive', 'deleted', 'expired']).optional(),
  /** Default: all. */
  scopes: z.array(z.string()).optional(),
})

const answer = z.strictObject({
  request: z.enum(['GET /v1/models', 'POST /v1/responses']),
  model: z.string().optional(),
  /** The name of the key that asks. */
  key: name,
  organization: z.enum(['own', 'other']).optional(),
  project: z.enum(['own', 'other']).optional(),
  status: z.int(),
  code: z.string().optional(),
})

const manifest = z.strictObject({
  about: z.string(),
  /** All that a doctor finds in its environment, besides what every process has. */
  env: z.record(z.string(), z.string()),
  /** The folder that a doctor is started in, from the top of the project. Default: the top. */
  cwd: z.string().optional(),
  /** What OpenAI knows. By default every project key and service account's key lives and may do everything. */
  sandbox: z
    .strictObject({
      keys: z.record(name, keyState).optional(),
      knobs: z.record(z.string(), z.unknown()).optional(),
      /** What it then answers; a test asks it. */
      answers: z.array(answer).min(1),
    })
    .optional(),
  /** Everything that is wrong. */
  planted: z.array(finding),
  /** A second name for something that is planted, which a careful reader would not call a mistake. */
  alsoAccepted: z.array(finding).optional(),
})

export type Finding = z.infer<typeof finding>
export type Manifest = z.infer<typeof manifest>

const examples = resolve(import.meta.dirname, '../../examples')
const groups = ['broken', 'healthy'] as const

export const manifestFile = 'planted.json'

export interface Project {
  readonly name: string
  readonly group: (typeof groups)[number]
  /** Where its files lie, as they are stored. */
  readonly source: string
  readonly manifest: Manifest
}

/** Every project of examples/broken and examples/healthy, by name within each. */
export function projects(): readonly Project[] {
  return groups.flatMap((group) =>
    readdirSync(join(examples, group), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
      .sort()
      .map((project) => readProject(group, project)),
  )
}

/** Throws a RangeError that names the projects there are. */
export function projectNamed(wanted: string): Project {
  const group = groups.find((one) => existsSync(join(examples, one, wanted, manifestFile)))
  if (group !== undefined && /^[a-z0-9-]+$/.test(wanted)) return readProject(group, wanted)
  const known = projects().map((project) => project.name)
  throw new RangeError(`There is no project ${wanted}. There are: ${known.join(', ')}.`)
}

function readProject(group: Project['group'], project: string): Project {
  const source = join(examples, group, project)
  const parsed = manifest.safeParse(JSON.parse(readFileSync(join(source, manifestFile), 'utf8')))
  if (!parsed.success)
    throw new TypeError(`${group}/${project}/${manifestFile}: ${z.prettifyError(parsed.error)}`)
  return { name: project, group, source, manifest: parsed.data }
}

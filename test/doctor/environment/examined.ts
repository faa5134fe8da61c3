import { environmentChecks } from '../../../src/doctor/environment-checks.ts'
import { examine } from '../../../src/doctor/examine.ts'
import { describePlace, type Finding } from '../../../src/doctor/finding.ts'
import { gather } from '../../../src/doctor/gather.ts'
import type { DotenvLoader } from '../../../src/doctor/project/project-facts.ts'
import { scanProject } from '../../../src/doctor/project/scan.ts'
import { projectOf, type TestDoctor, testDoctor } from '../context.ts'

export type Texts = Readonly<Record<string, string>>

/** What the checks of the environment find in a project of these files, started with these variables. */
export async function findingsIn(
  texts: Texts,
  env: Readonly<Record<string, string>> = {},
  more: {
    readonly above?: Texts
    /** Who loads dotenv files, in place of whom the project's files show. */
    readonly loaders?: readonly DotenvLoader[] | undefined
  } & Partial<Pick<TestDoctor, 'keyturn'>> = {},
): Promise<readonly Finding[]> {
  const { above = {}, loaders, ...rest } = more
  const project = projectOf(texts)
  const files = {
    ...project,
    read: (path: string) => project.read(path) ?? above[path],
    above: (name: string) => Object.keys(above).filter((path) => path.endsWith(`/${name}`)),
  }
  const scan = await scanProject(files)
  const scanned = loaders === undefined ? scan : { ...scan, dotenv: { loaders } }
  const { findings, broken } = await examine(testDoctor({ env, files, ...rest }), {
    gather: (context) => gather(context, async () => scanned),
    checks: environmentChecks,
  })
  if (broken.length > 0) throw new Error(`broken: ${JSON.stringify(broken)}`)
  return findings
}

/** `key_missing OPENAI_API_KEY`, `dotenv_malformed .env:3`. */
export const told = (findings: readonly Finding[]): readonly string[] =>
  findings.map(({ code, place }) =>
    place?.kind === 'file'
      ? `${code} ${place.path}:${place.line}`
      : `${code} ${place === undefined ? '' : describePlace(place)}`,
  )

/** Small programs that are right in themselves. */
export const node: Texts = {
  'package.json': '{ "dependencies": { "openai": "^7.0.0", "dotenv": "^17.0.0" } }',
  'index.js': "import 'dotenv/config'\nimport OpenAI from 'openai'\nconst client = new OpenAI()\n",
}
export const nodeWithoutDotenv: Texts = {
  'package.json': '{ "dependencies": { "openai": "^7.0.0" } }',
  'index.js': "import OpenAI from 'openai'\nconst client = new OpenAI()\n",
}
export const python: Texts = {
  'requirements.txt': 'openai>=2\npython-dotenv\n',
  'app.py': 'from dotenv import load_dotenv\nload_dotenv()\nfrom openai import OpenAI\nclient = OpenAI()\n',
}
export const pythonWithoutDotenv: Texts = {
  'requirements.txt': 'openai>=2\n',
  'app.py': 'from openai import OpenAI\nclient = OpenAI()\n',
}

import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { startSandbox } from '../../src/sandbox/index.ts'
import { projectNamed, projects } from './manifest.ts'
import { plant } from './plant.ts'
import { prepareSandbox } from './sandbox-state.ts'

/**
 * Plants a project of examples/, so that a person can try a doctor in it:
 *
 *     npm run broken                            tells what there is
 *     npm run broken -- NAME FOLDER             plants it, and tells how to go there
 *     npm run broken -- NAME FOLDER --sandbox   the same with a local OpenAI that knows its keys, until Ctrl-C
 */
const { positionals, values: flags } = parseArgs({
  allowPositionals: true,
  options: { sandbox: { type: 'boolean', default: false } },
})
const [name, folder] = positionals

if (name === undefined) list()
else if (folder === undefined) {
  process.stderr.write('usage: npm run broken -- NAME FOLDER [--sandbox]\n')
  process.exitCode = 2
} else await lay(name, resolve(folder))

function list(): void {
  for (const group of ['broken', 'healthy']) {
    process.stdout.write(`${group}\n`)
    for (const project of projects().filter((one) => one.group === group))
      process.stdout.write(`  ${project.name.padEnd(28)} ${project.manifest.about}\n`)
  }
}

async function lay(project: string, into: string): Promise<void> {
  projectNamed(project)
  const sandbox = flags.sandbox ? await startSandbox() : undefined
  const given = sandbox === undefined ? {} : prepareSandbox(project, sandbox)
  const { group, cwd, env, manifest } = await plant(project, into, given)
  // Beside the project and not in it: a doctor would find it there.
  const envFile = `${into}.env`
  const lines = Object.entries(env).map(([variable, value]) => `export ${variable}='${value}'\n`)
  await writeFile(envFile, lines.join(''), { mode: 0o600 })
  const base = sandbox === undefined ? '' : ` && export OPENAI_BASE_URL=${sandbox.baseUrl}`
  process.stdout.write(`${manifest.about}\n\n  cd ${cwd} && . ${envFile}${base}\n\n`)
  process.stdout.write(`What is planted in it: examples/${group}/${project}/planted.json\n`)
  if (sandbox === undefined && manifest.sandbox !== undefined)
    process.stdout.write('What is wrong here only OpenAI can tell: add --sandbox for one that does.\n')
}

import { describePlace, type Finding, type Place } from '../finding.ts'
import { isWorkflow } from '../manifests/paths.ts'
import { at, entriesAt, itemsAt, readYaml, textAt, type YamlTree } from '../manifests/yaml-tree.ts'
import { isAside } from '../project/aside.ts'
import { type Look, projectCheck } from '../project/project-check.ts'
import { hereOf } from './commands-here.ts'
import { fetchesKey, neededVariables, startedBy, testsNeedKey } from './programs.ts'

/** Platforms whose own file says which variables a program gets there. Those that keep them elsewhere are left alone. */
export const platforms = projectCheck('platforms', async (look) => {
  const needed = neededVariables(look.project)
  const own = look.files.list().filter((path) => !isAside(path) && look.files.isIgnored(path) !== true)
  // A repository has its workflows at its top, whichever of its folders is looked at.
  const paths = [...own, ...(look.files.workflowsAbove?.() ?? [])]
  const findings: Finding[] = []
  for (const path of paths) {
    const isFlow = isWorkflow(path)
    if (!isFlow && !/(?:^|\/)(?:serverless|template|app|service|cloudrun)[\w.-]{0,40}\.ya?ml$/.test(path))
      continue
    const text = look.files.read(path) ?? ''
    for (const tree of needed.length === 0 ? [] : await readYaml(text))
      findings.push(
        ...(isFlow
          ? ofWorkflow(look, { path, tree, needed })
          : ofFunctions(look, { path, tree, needed, text })),
      )
  }
  return findings
})

interface Given {
  readonly path: string
  readonly tree: YamlTree
  readonly needed: readonly string[]
}

/** Where a workflow gets its variables from a store of secrets, nothing is known. */
const fetching =
  /vault|1password|doppler|infisical|secretsmanager|keyvault|get-secret|chamber|sops|dotenv|GITHUB_ENV|\bop run\b|keyturn|\.env\b/i

function ofWorkflow(look: Look, { path, tree, needed }: Given): readonly Finding[] {
  const findings: Finding[] = []
  for (const [, { value: job }] of entriesAt(tree, 'jobs')) {
    const steps = itemsAt(job, 'steps')
    if (steps.some((step) => fetching.test(`${textAt(step, 'uses') ?? ''} ${textAt(step, 'run') ?? ''}`)))
      continue
    // A job in an environment gets its secrets in the same way: only through `secrets.`.
    for (const step of steps) {
      const written = textAt(step, 'run')
      const folder = textAt(step, 'working-directory') ?? textAt(job, 'defaults', 'run', 'working-directory')
      const command =
        written === undefined ? undefined : hereOf(look.files, { path, command: written, folder })
      if (command === undefined) continue
      const settings = [tree, job, step].map((one) => entriesAt(one, 'env'))
      const isGiven = needed.some(
        (name) => settings.some((one) => one.has(name)) || command.includes(`${name}=`),
      )
      if (isGiven || !runsWithKey(look, command)) continue
      const [name = 'OPENAI_API_KEY'] = needed
      const near = settings
        .flatMap((one) => [...one])
        .find(
          ([other, { value }]) =>
            /open_?ai/i.test(other) || (value.kind === 'text' && /secrets\.\w*OPENAI\w*/.test(value.text)),
        )
      const line = at(step, 'run')?.line ?? step.line
      findings.push(ofStep({ kind: 'file', path, line: near?.[1].line ?? line, name }, name, near?.[0]))
      break
    }
  }
  return findings.slice(0, 1)
}

function ofStep(place: Place, name: string, near: string | undefined): Finding {
  return {
    code: near === undefined ? 'platform_variable_missing' : 'variable_misnamed',
    severity: 'error',
    seen:
      near === undefined
        ? `${describePlace(place)} runs a program that needs ${name}, and no env of the step, the job or the workflow gives it.`
        : `${describePlace(place)} gives the key to the program as ${near}, which reads ${name}.`,
    cause: 'GitHub Actions hands a secret only to steps that name it, so the program has no key there.',
    fix: `At the step write: env: { ${name}: '\${{ secrets.OPENAI_API_KEY }}' }, after:\ngh secret set OPENAI_API_KEY`,
    place,
  }
}

function runsWithKey(look: Look, command: string): boolean {
  return command.split('\n', 200).some((line) => {
    if (/^\s*#/.test(line) || /docker|compose|lint|build|mypy|ruff|tsc\b/i.test(line)) return false
    if (startedBy(look, line) !== undefined) return true
    return isTestCommand(line) && testsNeedKey(look.project)
  })
}

function isTestCommand(line: string): boolean {
  return /\b(?:pytest|vitest|jest|mocha|node\s+--test|(?:npm|pnpm|yarn|bun)\s+(?:run\s+)?test)\b/.test(line)
}

function ofFunctions(look: Look, given: Given & { readonly text: string }): readonly Finding[] {
  const { path, tree, needed, text } = given
  // Whoever names OpenAI there, in whatever way, has thought of it.
  if (/open_?-?ai|secretsmanager|\bssm\b|useDotenv:\s*true|dotenv/i.test(text) || fetchesKey(look.project))
    return []
  const [name = 'OPENAI_API_KEY'] = needed
  const found = platformOf(tree, path)
  if (found === undefined) return []
  const place = { kind: 'file', path, line: found.line, name } as const
  return [
    {
      code: 'platform_variable_missing',
      severity: 'error',
      seen: `${describePlace(place)} starts a program that needs ${name}, and sets no such variable.`,
      cause: `${found.platform} gives a program only the variables that are set there, so it has no key.`,
      fix: found.fix(name),
      place,
    },
  ]
}

interface Platform {
  readonly platform: string
  readonly line: number
  readonly fix: (name: string) => string
}

function platformOf(tree: YamlTree, path: string): Platform | undefined {
  const functions = at(tree, 'functions')
  if (
    /(?:^|\/)serverless[\w.-]*$/.test(path) &&
    functions?.kind === 'map' &&
    at(tree, 'provider') !== undefined
  )
    return {
      platform: 'The function',
      line: functions.line,
      fix: (name) => `In ${path}, under provider.environment, write: ${name}: \${ssm:/openai/api-key}`,
    }
  const lambda = [...entriesAt(tree, 'Resources').values()].find(
    ({ value }) => textAt(value, 'Type') === 'AWS::Serverless::Function',
  )
  if (lambda !== undefined)
    return {
      platform: 'Lambda',
      line: lambda.line,
      fix: (name) =>
        `In ${path}, under Properties.Environment.Variables, write: ${name}: '{{resolve:secretsmanager:openai-api-key}}'`,
    }
  if (/(?:^|\/)app[\w.-]*$/.test(path) && textAt(tree, 'runtime') !== undefined)
    return {
      platform: 'App Engine',
      line: at(tree, 'env_variables')?.line ?? 1,
      fix: (name) =>
        `In ${path} write: env_variables: { ${name}: … } in a file that git ignores and that it includes`,
    }
  const container = itemsAt(tree, 'spec', 'template', 'spec', 'containers')[0]
  if (textAt(tree, 'apiVersion')?.startsWith('serving.knative.dev') === true && container !== undefined)
    return {
      platform: 'Cloud Run',
      line: container.line,
      fix: (name) =>
        `gcloud run services update ${textAt(tree, 'metadata', 'name') ?? '<service>'} --update-secrets=${name}=openai-api-key:latest`,
    }
  return undefined
}

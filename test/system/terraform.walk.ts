import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { checkConfig } from '../../src/config.ts'
import { moduleFolders, terraformFolder } from '../terraform/modules.ts'
import { openTerraform, type Terraform } from '../terraform/run-terraform.ts'
import { clouds, writeExampleTest, writeTogether } from '../terraform/whole.ts'

/**
 * Terraform itself over the modules. Its providers cannot be had everywhere, so ones that know the kept schemas stand in for
 * them: every name, type and reference is checked, plans are made with mocks, and nothing is asked of a cloud.
 */

let terraform: Terraform | undefined
let copy: string

beforeAll(async () => {
  terraform = await openTerraform()
  copy = mkdtempSync(join(tmpdir(), 'keyturn-terraform-'))
  cpSync(terraformFolder, copy, { recursive: true })
})

afterAll(() => {
  terraform?.close()
  rmSync(copy, { recursive: true, force: true })
})

beforeEach(({ skip }) => {
  if (terraform === undefined) skip('terraform 1.11 or newer is not here')
})

const names = moduleFolders().map((folder) => relative(terraformFolder, folder))

async function succeed(name: string, args: readonly string[]): Promise<string> {
  const { code, output } = (await terraform?.run(join(copy, name), args)) ?? { code: -1, output: '' }
  expect(code, output).toBe(0)
  return output
}

test('every file is written as `terraform fmt` writes it', async () => {
  await succeed('.', ['fmt', '-check', '-recursive', '-diff'])
})

test.each(names)('terraform validate: %s', async (name) => {
  await succeed(name, ['init', '-backend=false', '-input=false', '-no-color'])
  await succeed(name, ['validate', '-no-color'])
})

test('terraform refuses a name that is not in a schema', async () => {
  const folder = join(copy, 'modules/aws/network')
  writeFileSync(join(folder, 'planted.tf'), 'resource "aws_eip" "planted" {\n  domane = "vpc"\n}\n')
  const { code, output } = (await terraform?.run(folder, ['validate', '-no-color'])) ?? {
    code: 0,
    output: '',
  }
  rmSync(join(folder, 'planted.tf'))
  expect(code).toBe(1)
  expect(output).toContain('An argument named "domane" is not expected here')
})

interface Message {
  readonly type: string
  readonly '@message': string
  readonly test_state?: {
    readonly outputs?: Readonly<Record<string, { readonly value?: string }>>
    readonly root_module: { readonly resources: readonly Resource[] }
  }
}

interface Resource {
  readonly address: string
  readonly values: Readonly<Record<string, unknown>>
}

describe.each(['modules/configuration', 'modules/aws', 'modules/google', 'modules/azure'])(
  'terraform test: %s',
  (name) => {
    let output = ''
    let messages: readonly Message[] = []

    test('its runs pass', async () => {
      await succeed(name, ['init', '-backend=false', '-input=false', '-no-color'])
      output = await succeed(name, ['test', '-json', '-verbose'])
      const lines = output.split('\n').filter((line) => line.startsWith('{'))
      messages = lines.map((line) => JSON.parse(line) as Message)
      expect(messages.some((message) => message.type === 'test_state')).toBe(true)
    })

    test('the password of the database is in no plan and no state', () => {
      // What the provider of random values gives out here; that the configuration lacks it is asserted in the runs.
      const told = messages.filter(({ type }) => type === 'test_state' || type === 'test_plan')
      expect(told.length).toBeGreaterThan(0)
      expect(JSON.stringify(told)).not.toContain('made-up')
    })

    test('Keyturn takes the configuration that comes of it', () => {
      const states = messages.flatMap(({ test_state }) => (test_state === undefined ? [] : [test_state]))
      const texts = states.flatMap(
        ({ outputs = {} }) => outputs['configuration']?.value ?? outputs['yaml']?.value ?? [],
      )
      expect(texts.length).toBeGreaterThan(0)
      for (const text of texts) expect(checked(text)).toEqual({ kind: 'valid', warnings: [] })
    })

    if (name === 'modules/aws' || name === 'modules/azure')
      test('what runs before the service writes its files down', () => {
        const { script, files } = writerOf(messages)
        const folder = mkdtempSync(join(tmpdir(), 'keyturn-files-'))
        const moved = script.replaceAll('/var/lib/keyturn', folder)
        expect(moved).not.toBe(script)
        execFileSync(process.execPath, ['-e', moved], { env: { KEYTURN_FILES: files } })
        const written = readFileSync(join(folder, 'config/keyturn.yaml'), 'utf8')
        rmSync(folder, { recursive: true })
        expect(checked(written)).toEqual({ kind: 'valid', warnings: [] })
      })

    if (name === 'modules/aws')
      test('the function of the hook finds its configuration and its password', () => {
        const variables = resourceOf(messages, 'aws_lambda_function.hook[0]').values[
          'environment'
        ] as readonly {
          readonly variables: Readonly<Record<string, string>>
        }[]
        const named = JSON.parse(variables[0]?.variables['KEYTURN_SECRETS'] ?? '{}') as Record<string, string>
        const folder = mkdtempSync(join(tmpdir(), 'keyturn-function-'))
        const env = {
          ...variables[0]?.variables,
          KEYTURN_SECRETS: JSON.stringify({ ...named, TEAM_URL: 'one of settings' }),
          KEYTURN_CONFIG: join(folder, 'keyturn/keyturn.yaml'),
          AWS_REGION: 'eu-central-1',
          FUNCTION: join(terraformFolder, 'modules/aws/hook/index.mjs'),
        }
        const answer = execFileSync(process.execPath, ['-e', callOnce], { env, encoding: 'utf8' })
        const written = readFileSync(join(folder, 'keyturn/keyturn.yaml'), 'utf8')
        const authority = readFileSync(join(folder, 'keyturn/ledger-ca.pem'), 'utf8')
        rmSync(folder, { recursive: true })
        expect(JSON.parse(answer)).toEqual({
          event: { keyturn: 'tick' },
          secrets: [`what is in ${named['KEYTURN_LEDGER_PASSWORD'] ?? ''}`, 'what is in one of settings'],
        })
        expect(checked(written)).toEqual({ kind: 'valid', warnings: [] })
        expect(authority).toContain('BEGIN CERTIFICATE')
      })
  },
)

test.each(clouds)('the example of %s is whole, and Keyturn takes its configuration', async (cloud) => {
  const name = writeExampleTest(copy, cloud)
  await succeed(name, ['init', '-backend=false', '-input=false', '-no-color'])
  const output = await succeed(name, ['test', '-json', '-verbose'])
  const lines = output.split('\n').filter((line) => line.startsWith('{'))
  const states = lines.flatMap((line) => (JSON.parse(line) as Message).test_state ?? [])
  expect(states.map(({ outputs }) => checked(outputs?.['configuration']?.value ?? ''))).toEqual([
    { kind: 'valid', warnings: [] },
  ])
  expect(JSON.stringify(states)).not.toContain('made-up')
})

test.each(clouds)(
  'what is made in the same run can be handed to the module of %s, though its names are not known yet',
  async (cloud) => {
    const name = writeTogether(copy, cloud)
    await succeed(name, ['init', '-backend=false', '-input=false', '-no-color'])
    await succeed(name, ['test', '-no-color'])
  },
)

const stubs = {
  '@aws-sdk/client-secrets-manager': `
    export class GetSecretValueCommand { constructor(input) { this.input = input } }
    export class SecretsManagerClient { async send({ input }) { return { SecretString: 'what is in ' + input.SecretId } } }`,
  'keyturn/hooks/aws': `
    export async function handler(event) { return { event, secrets: [process.env.KEYTURN_LEDGER_PASSWORD, process.env.TEAM_URL] } }`,
}

/** Imports the file of the function with what it imports replaced, and calls it once. */
const callOnce = `
  const { registerHooks } = require('node:module')
  const stubs = ${JSON.stringify(stubs)}
  registerHooks({
    resolve: (name, context, next) =>
      Object.hasOwn(stubs, name)
        ? { url: 'data:text/javascript,' + encodeURIComponent(stubs[name]), shortCircuit: true }
        : next(name, context),
  })
  import(process.env.FUNCTION)
    .then(({ handler }) => handler({ keyturn: 'tick' }))
    .then((answer) => process.stdout.write(JSON.stringify(answer)))`

function checked(yaml: string): object {
  const found = checkConfig({
    env: {},
    cwd: '/etc/keyturn',
    readFile: (path) => (path === '/etc/keyturn/keyturn.yaml' ? yaml : undefined),
  })
  return found.kind === 'valid' ? { kind: found.kind, warnings: found.warnings ?? [] } : found
}

/** The command and the variable of the container that comes first, from a state. */
function writerOf(messages: readonly Message[]): { readonly script: string; readonly files: string } {
  const task = resourcesOf(messages).find(({ address }) => address === 'aws_ecs_task_definition.service')
  if (task !== undefined) {
    const [first] = JSON.parse(String(task.values['container_definitions'])) as readonly {
      readonly command: readonly string[]
      readonly environment: readonly { readonly value: string }[]
    }[]
    return { script: first?.command[1] ?? '', files: first?.environment[0]?.value ?? '' }
  }
  const templates = resourceOf(messages, 'azurerm_container_app.this').values['template'] as readonly {
    readonly init_container: readonly {
      readonly args: readonly string[]
      readonly env: readonly { value: string }[]
    }[]
  }[]
  const first = templates[0]?.init_container[0]
  return { script: first?.args[1] ?? '', files: first?.env[0]?.value ?? '' }
}

function resourcesOf(messages: readonly Message[]): readonly Resource[] {
  return messages.flatMap(({ test_state }) => test_state?.root_module.resources ?? [])
}

function resourceOf(messages: readonly Message[], address: string): Resource {
  const found = resourcesOf(messages).find((one) => one.address === address)
  if (found === undefined) throw new Error(`no state has ${address}`)
  return found
}

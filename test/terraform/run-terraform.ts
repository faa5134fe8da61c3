import { execFile, spawnSync } from 'node:child_process'
import { loadSchemas } from './schema.ts'
import { reattach, type SchemaProvider, serveSchema } from './schema-provider.ts'

/** Terraform itself, with providers that know their schemas and nothing else; undefined where it is not here, or too old. */
export async function openTerraform(): Promise<Terraform | undefined> {
  const { stdout, status } = spawnSync('terraform', ['version', '-json'], { encoding: 'utf8', env: quiet() })
  const version =
    status === 0 ? (JSON.parse(stdout) as { terraform_version: string }).terraform_version : '0.0'
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major !== 1 || minor < 11) return undefined
  const served = await Promise.all(loadSchemas().map(serveSchema))
  return {
    run: (folder, args) => run(folder, args, served),
    close: () => {
      for (const one of served) one.close()
    },
  }
}

export interface Terraform {
  run(folder: string, args: readonly string[]): Promise<{ readonly code: number; readonly output: string }>
  close(): void
}

const outputBytesMax = 50_000_000

function run(
  cwd: string,
  args: readonly string[],
  served: readonly SchemaProvider[],
): ReturnType<Terraform['run']> {
  const env = { ...quiet(), TF_REATTACH_PROVIDERS: reattach(served) }
  return new Promise((resolve) =>
    execFile('terraform', args, { cwd, env, maxBuffer: outputBytesMax }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : 1, output: `${stdout}${stderr}` }),
    ),
  )
}

/** Without what a user has configured, and without asking whether there is a newer one. */
function quiet(): NodeJS.ProcessEnv {
  return { ...process.env, TF_CLI_CONFIG_FILE: '/dev/null', CHECKPOINT_DISABLE: '1', TF_IN_AUTOMATION: '1' }
}

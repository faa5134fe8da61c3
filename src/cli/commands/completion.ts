import { type Shell, shells } from '../choices.ts'
import { argument, type Context, usage } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'

const scripts: Readonly<Record<Shell, () => Promise<string>>> = {
  bash: async () => (await import('../completion/bash.ts')).bashScript(),
  zsh: async () => (await import('../completion/zsh.ts')).zshScript(),
  fish: async () => (await import('../completion/fish.ts')).fishScript(),
}

export async function run(context: Context): Promise<ExitCode> {
  const asked = argument(context, 0)
  const shell = shells.find((known) => known === asked)
  if (shell === undefined)
    throw usage('there is no completion for such a shell', `Name one of: ${shells.join(', ')}.`)
  const script = await scripts[shell]()
  context.out.result({ shell, script }, () => script.trimEnd().split('\n'))
  return exitCodes.done
}

import type { ProjectFiles } from '../project/files.ts'

/**
 * What a command of a workflow comes to in the folder that is looked at. One above is for all folders of its repository:
 * undefined where it does not name this one.
 */
export function hereOf(
  files: ProjectFiles,
  step: { readonly path: string; readonly command: string; readonly folder: string | undefined },
): string | undefined {
  const levels = step.path.split('/').filter((part) => part === '..').length
  if (levels === 0) return step.command
  const folder = files.folder.split('/').slice(-levels).join('/')
  const names = [folder, packageName(files.read('package.json'))].filter((name) => name !== undefined)
  if (step.folder?.replace(/^\.\/|\/$/g, '') === folder) return step.command
  const command = names.reduce(withoutName, step.command)
  return command === step.command ? undefined : command
}

/** `npm run start --workspace packages/agent` is `npm run start` there, and `node packages/agent/main.js` is `node main.js`. */
function withoutName(command: string, name: string): string {
  const escaped = name.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
  const flag = new RegExp(
    String.raw`\s(?:--workspace|-w|--filter|-F|--prefix|--cwd|--dir|-C)[= ](?:\./)?["']?${escaped}/?["']?(?=\s|$)`,
    'g',
  )
  const change = new RegExp(String.raw`\bcd\s+(?:\./)?${escaped}/?\s*(?:&&|;|\n)\s*`, 'g')
  const path = new RegExp(String.raw`(?<=^|[\s"'=])(?:\./)?${escaped}/`, 'g')
  return command.replaceAll(flag, '').replaceAll(change, '').replaceAll(path, '')
}

function packageName(text: string | undefined): string | undefined {
  try {
    const { name } = JSON.parse(text ?? '{}') as { readonly name?: unknown }
    return typeof name === 'string' && name !== '' ? name : undefined
  } catch {
    return undefined
  }
}

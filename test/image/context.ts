import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { repository } from './builder.ts'

/** What a repository has beside what is asked for: none of it may reach the image. */
const planted = [
  '.env',
  '.git/config',
  '.keyturn/operator.token',
  'node_modules/left/index.js',
  'dist/left.js',
  'src/.env',
  'deploy/image/.env',
  'bin/.npmrc',
] as const

/** A copy of what the Dockerfile may need, with secrets lying about in it as they do in people's folders. */
export function layContext(folder: string, canary: string): string {
  const context = join(folder, 'context')
  const names = ['Dockerfile', '.dockerignore', 'package.json', 'package-lock.json', 'tsconfig.json']
  for (const name of [...names, 'tsconfig.build.json', 'build.ts', 'LICENSE', 'bin', 'src', 'deploy/image'])
    cpSync(join(repository, name), join(context, name), { recursive: true })
  for (const path of planted) {
    mkdirSync(dirname(join(context, path)), { recursive: true })
    writeFileSync(join(context, path), `LEFT=${canary}\n`)
  }
  return context
}

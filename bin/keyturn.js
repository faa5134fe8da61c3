#!/usr/bin/env node
import { nodeProblem } from './node-check.js'

const problem = nodeProblem(process.versions.node)
if (problem === undefined) {
  import('node:module')
    .then(({ enableCompileCache }) => enableCompileCache())
    .then(() => import('../dist/cli/main.js'))
    .then(({ main }) => main(process.argv.slice(2)))
    .then(
      (code) => {
        process.exitCode = code
      },
      (error) => {
        const isUnbuilt =
          error.code === 'ERR_MODULE_NOT_FOUND' && String(error.message).includes('cli/main.js')
        process.stderr.write(
          isUnbuilt
            ? 'error: keyturn is not built\nfix:   Run npm run build.\n'
            : `error: ${error.name}: keyturn could not start\nfix:   Install it again (npm ci); if it stays, please report it.\n`,
        )
        process.exitCode = 1
      },
    )
} else {
  process.stderr.write(problem)
  process.exitCode = 1
}

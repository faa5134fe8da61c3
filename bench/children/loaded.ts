// Notes when each module is loaded. Loaded ahead of the service with --import, in a run whose time does not count.
import { writeFileSync } from 'node:fs'
import { registerHooks } from 'node:module'

const loaded: { readonly atMs: number; readonly url: string }[] = []
registerHooks({
  load(url, context, nextLoad) {
    loaded.push({ atMs: performance.now(), url })
    return nextLoad(url, context)
  },
})
process.on('exit', () => {
  const path = process.env['BENCH_LOADED']
  if (path !== undefined) writeFileSync(path, JSON.stringify(loaded))
})

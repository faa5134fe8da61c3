import { registerHooks } from 'node:module'
import { mutations } from './mutations.ts'

/** From now on that file is loaded with its defect. Call it before anything of src is. */
export function plant(name: string): void {
  const mutation = mutations.find((one) => one.name === name)
  if (mutation === undefined) throw new Error(`there is no mutation "${name}"`)
  const { file, find, replace } = mutation
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context)
      if (!url.endsWith(`/src/${file}`)) return loaded
      const { source: given } = loaded
      const source = typeof given === 'string' ? given : new TextDecoder().decode(given)
      if (source.split(find).length !== 2) throw new Error(`"${name}" has one place in ${file}`)
      return { ...loaded, source: source.replace(find, () => replace) }
    },
  })
}

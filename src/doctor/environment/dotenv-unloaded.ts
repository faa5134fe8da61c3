import { inspectSecret } from '../../core/key-inspection.ts'
import type { Secret } from '../../core/secret.ts'
import type { Check } from '../check.ts'
import { folderOf } from '../dotenv/loading.ts'
import type { DotenvFile, Facts } from '../facts.ts'
import type { Finding } from '../finding.ts'
import { keyNames } from '../gather.ts'
import { shellWord } from '../shell-word.ts'
import { placeIn } from './used-keys.ts'
import { lineOf } from './wording.ts'

/** T25: a key lies in a dotenv file that does not reach the program, and it has no other. */
export const unloaded: Check = {
  name: 'unloaded',
  needsNetwork: false,
  async run(facts) {
    if (facts.key !== undefined) return []
    const names = keyNames(facts.scan)
    const found = facts.dotenv
      .filter(({ loaders }) => loaders.length === 0)
      .flatMap((file) => {
        const variable = file.variables.findLast(
          ({ name, text, isReference }) => names.includes(name) && !isReference && isWorthLoading(text),
        )
        return variable === undefined ? [] : [{ file, place: placeIn(file, variable) }]
      })
      .toSorted((left, right) => depth(left.file) - depth(right.file))[0]
    if (found === undefined) return []
    const loader = facts.scan?.dotenv.loaders.find(({ path }) => path === undefined)
    const isElsewhere = (facts.scan?.dotenv.loaders.length ?? 0) > 0
    return [
      isElsewhere
        ? elsewhere(found, loader ?? facts.scan?.dotenv.loaders[0], facts)
        : notLoaded(found, facts),
    ]
  },
}

/** A placeholder is told as that: loading it would not help. */
function isWorthLoading(text: Secret): boolean {
  return text.length > 0 && inspectSecret(text).core !== 'placeholder'
}

type Found = { readonly file: DotenvFile; readonly place: ReturnType<typeof placeIn> }
type Loader = DotenvFile['loaders'][number]

function depth({ path }: DotenvFile): number {
  return path.split('/').length
}

function notLoaded({ file, place }: Found, facts: Facts): Finding {
  return {
    code: 'dotenv_not_loaded',
    severity: 'error',
    seen: `${place.name ?? 'The key'} is set in ${lineOf(place)}, it is not in the environment, and nothing in the project loads that file.`,
    cause: `A program gets the variables of ${file.path} only where something loads it.`,
    fix: loadIt(file.path, facts),
    place,
  }
}

/** The shortest way for what the project is written in. */
function loadIt(path: string, facts: Facts): string {
  const kind = facts.scan?.kinds[0]
  const source = facts.scan?.clients[0]?.source.path
  const program = source === undefined ? '<program>' : shellWord(source)
  if (kind === 'node') return `node --env-file=${shellWord(path)} ${program}`
  if (kind === 'python')
    return `Call load_dotenv() before anything reads the variable, or:\npip install 'python-dotenv[cli]' && dotenv -f ${shellWord(path)} run -- python ${program}`
  return `In the shell that starts the program:\nset -a; . ${shellWord(`./${path}`)}; set +a`
}

function elsewhere({ file, place }: Found, loader: Loader | undefined, facts: Facts): Finding {
  const wanted = loader?.path ?? '.env'
  const where = loader?.place.kind === 'file' ? ` (${lineOf(loader.place)})` : ''
  const isThere = facts.dotenv.some(({ path }) => path === wanted)
  return {
    code: 'dotenv_elsewhere',
    severity: 'error',
    seen: `${place.name ?? 'The key'} is set in ${lineOf(place)}, it is not in the environment, and ${loader?.name ?? 'the loader'}${where} looks for ${wanted} in the folder that the program starts in.`,
    cause: `${file.path} is ${folderOf(file.path) === '' ? 'not the file' : 'in another folder than the one'} that is loaded.`,
    fix: isThere
      ? `Move the line to ${wanted}.`
      : `Name ${file.path} where it is loaded, or:\ncp ${file.path} ${wanted}`,
    place,
  }
}

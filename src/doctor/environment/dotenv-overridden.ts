import { fingerprint } from '../../core/fingerprint.ts'
import { inspectSecret } from '../../core/key-inspection.ts'
import { Secret } from '../../core/secret.ts'
import type { Check } from '../check.ts'
import type { DoctorContext } from '../context.ts'
import type { DotenvFile, DotenvVariable } from '../facts.ts'
import type { Finding } from '../finding.ts'
import { keyNames } from '../gather.ts'
import { placeIn } from './used-keys.ts'
import { lineOf } from './wording.ts'

/** T38: the environment and a loaded file have different keys. One that overrides on purpose has decided who wins. */
export const overridden: Check = {
  name: 'overridden',
  needsNetwork: false,
  async run(facts, context) {
    const names = keyNames(facts.scan).filter((name) => context.env[name] !== undefined)
    return names.flatMap((name) => {
      const file = facts.dotenv.find((one) => isBelowEnvironment(one) && keyIn(one, name) !== undefined)
      const variable = file === undefined ? undefined : keyIn(file, name)
      if (file === undefined || variable === undefined) return []
      const finding = compare({ file, variable, set: context.env[name] ?? '' }, context)
      return finding === undefined ? [] : [finding]
    })
  },
}

/** What `docker run` is given reaches the container whatever the shell has. */
function isBelowEnvironment({ loaders, dialect }: DotenvFile): boolean {
  return loaders.length > 0 && dialect !== 'docker' && !loaders.some(({ overrides }) => overrides)
}

function keyIn(file: DotenvFile, name: string): DotenvVariable | undefined {
  const variable = file.variables.findLast((one) => one.name === name)
  const isKey =
    variable !== undefined &&
    variable.text.length > 0 &&
    !variable.isReference &&
    inspectSecret(variable.text).core !== 'placeholder'
  return isKey ? variable : undefined
}

interface Pair {
  readonly file: DotenvFile
  readonly variable: DotenvVariable
  readonly set: string
}

function compare({ file, variable, set }: Pair, { system }: DoctorContext): Finding | undefined {
  const place = placeIn(file, variable)
  const { name } = variable
  const line = lineOf(place)
  const loader = file.loaders[0]?.name ?? 'the loader'
  const common = { code: 'dotenv_overridden', place } as const
  if (set.trim() === '')
    return {
      ...common,
      severity: 'error',
      seen: `${name} is set in ${line}, and the environment sets it to nothing.`,
      cause: `What the environment sets wins over the file with ${loader}, were it empty.`,
      fix: `Take it out where it is set to nothing, and here:\nunset ${name}`,
    }
  const ofEnvironment = new Secret(set.trim())
  if (ofEnvironment.equals(variable.text)) return undefined
  const [here, there] = [fingerprint(ofEnvironment, system), fingerprint(variable.text, system)]
  return {
    ...common,
    severity: 'warning',
    seen: `${name} in the environment has the fingerprint ${here}, and in ${line} ${there}.`,
    cause: `The environment wins over the file with ${loader}, so the key in ${file.path} is not used here.`,
    fix: `Take line ${variable.line} out of ${file.path}, or use the one that is there:\nunset ${name}`,
    fingerprint: here,
  }
}

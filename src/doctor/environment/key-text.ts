import { type KeyProblem, usualLengths } from '../../core/key-inspection.ts'
import type { Check } from '../check.ts'
import type { Facts, KeyPlace } from '../facts.ts'
import type { Finding } from '../finding.ts'
import { givenKey } from '../gather.ts'
import { ofProviders } from './providers.ts'
import { type StandIn, standInOf } from './stand-in.ts'
import { apiOf, inspectKey, usedKeys } from './used-keys.ts'
import { isSetIn, lineOf } from './wording.ts'

/** What is told of one text; more would not help anyone. */
const problemsMax = 5

/** T03 to T06: what stands where the key should, judged by its text alone. */
export const keyText: Check = {
  name: 'key-text',
  needsNetwork: false,
  async run(facts) {
    return usedKeys(facts)
      .filter(({ place }) => !isFaulty(facts, place))
      .flatMap((key) => {
        const finding = judge(key, facts)
        return finding === undefined ? [] : [finding]
      })
  },
}

/** A line that the loader misreads is told as that, and its text is not the key. */
function isFaulty(facts: Facts, place: KeyPlace['place']): boolean {
  if (place.kind !== 'file') return false
  const file = facts.dotenv.find(({ path }) => path === place.path)
  return file?.faults.some(({ line }) => line === place.line) === true
}

function judge(key: KeyPlace, facts: Facts): Finding | undefined {
  const shape = inspectKey(key)
  if (shape.core === 'placeholder') return isForLocalServer(key, facts) ? undefined : placeholder(key)
  const standIn = standInOf(key.text)
  if (standIn !== undefined) return noKey(key, standIn)
  if (shape.kind === 'malformed') return strays(key, shape.problems, facts)
  if (shape.kind === 'other_provider') return ofProviders(key, shape.provider ?? 'another provider', facts)
  if (shape.kind === 'admin') return admin(key)
  return apiOf(facts) === 'openai' || apiOf(facts) === 'local' ? unusualLength(key, shape.kind) : undefined
}

/** Servers that want some key and look at none are given `none`, `dummy` or `EMPTY`. */
function isForLocalServer(key: KeyPlace, facts: Facts): boolean {
  return apiOf(facts) !== 'openai' && key.text.length < 10
}

function placeholder(key: KeyPlace): Finding {
  return {
    code: 'key_placeholder',
    severity: 'error',
    seen: `${nameOf(key)} is a placeholder of ${key.text.length} characters.`,
    cause: 'The text of a template stands where the key should.',
    fix: setAgain(key),
    place: key.place,
  }
}

const standIns: Readonly<
  Record<StandIn, { readonly seen: string; readonly cause: string; readonly fix: string }>
> = {
  reference: {
    seen: 'a reference to a secret',
    cause:
      'What puts the secret in place of the reference did not run, so that the reference is sent as the key.',
    fix: 'Start the program through what resolves it, as `op run --` does for op://, or put the key itself there. ',
  },
  organization_id: {
    seen: 'the id of an organisation',
    cause: 'The id says who pays; it is no key, and belongs in OPENAI_ORG_ID.',
    fix: '',
  },
  project_id: {
    seen: 'the id of a project',
    cause: 'The id says which project is called for; it is no key, and belongs in OPENAI_PROJECT_ID.',
    fix: '',
  },
  base64: {
    seen: 'a key in base64',
    cause: 'It was taken as Kubernetes and CI systems keep it, and nobody decoded it.',
    fix: 'Decode it first (base64 -d). ',
  },
}

function noKey(key: KeyPlace, standIn: StandIn): Finding {
  const { seen, cause, fix } = standIns[standIn]
  return {
    code: 'key_placeholder',
    severity: 'error',
    seen: `${nameOf(key)} is ${seen}, of ${key.text.length} characters.`,
    cause,
    fix: `${fix}${setAgain(key)}`,
    place: key.place,
  }
}

function strays(key: KeyPlace, problems: readonly KeyProblem[], facts: Facts): Finding | undefined {
  const fatal = problems.filter(({ isFatal }) => isFatal)
  if (fatal.length === 0) return undefined
  const told = fatal.slice(0, problemsMax).map((problem) => describe(problem, key.text.length))
  const more = fatal.length > problemsMax ? `, and ${fatal.length - problemsMax} more` : ''
  const isTrimmed = fatal.every((problem) => isEdgeSpace(problem, key.text.length, fatal))
  const isHarmless = isTrimmed && key.place.kind === 'variable' && facts.scan?.kinds.join() === 'node'
  return {
    code: 'key_stray_characters',
    severity: isHarmless ? 'warning' : 'error',
    seen: `${nameOf(key)} has ${told.join(', ')}${more}; ${key.text.length} characters in all.`,
    cause: isHarmless
      ? 'They were pasted along with the key; the Node library takes them off, and others do not.'
      : 'They were pasted along with the key and are sent as if they were part of it.',
    fix: cleaned(key, fatal),
    place: key.place,
  }
}

/** White space at either end, which Node's library takes off. */
function isEdgeSpace(problem: KeyProblem, length: number, all: readonly KeyProblem[]): boolean {
  if (problem.name !== 'white_space' && problem.name !== 'line_break') return false
  const position = problem.position ?? 0
  const isRun = (from: number, to: number) =>
    all.filter((one) => (one.position ?? -1) >= from && (one.position ?? -1) < to).length === to - from
  return isRun(0, position + 1) || isRun(position, length)
}

function describe({ name, position = 0, character }: KeyProblem, length: number): string {
  if (name === 'bearer_prefix') return 'the word Bearer in front'
  if (name === 'assignment') return 'the name of a variable and = in front'
  const where = position === 0 ? 'in front' : position === length - 1 ? 'at its end' : 'inside'
  return `${character?.startsWith('U+') === true ? '' : 'a '}${(character ?? name).replace(/^an? /, '')} ${where} (character ${position + 1})`
}

function cleaned(key: KeyPlace, problems: readonly KeyProblem[]): string {
  const { place } = key
  const isPlain = problems.every(
    ({ name, character }) =>
      ['byte_order_mark', 'white_space', 'line_break', 'control_character', 'quote'].includes(name) ||
      // A letter that is none of a key's stands in place of one; nothing is won by taking it out.
      (name === 'not_ascii' && /^(?:zero-width|word joiner)/.test(character ?? '')),
  )
  if (place.kind !== 'variable' || place.name === givenKey || !isPlain) return setAgain(key)
  return `Take them out, here and where it is set for good:\nexport ${place.name}="$(printf %s "$${place.name}" | LC_ALL=C tr -cd 'A-Za-z0-9_-')"`
}

function admin(key: KeyPlace): Finding {
  return {
    code: 'key_of_other_kind',
    severity: 'error',
    seen: `${nameOf(key)} begins with sk-admin-.`,
    cause: 'It is an admin key, which manages the organisation and may call no model.',
    fix: `Take a key of a project (https://platform.openai.com/api-keys); the admin key belongs in OPENAI_ADMIN_KEY. ${setAgain(key)}`,
    place: key.place,
  }
}

/** Early keys of projects had the random part of the older ones. */
const rareLengths: readonly number[] = [56]
/** Shorter than this no key has been, whatever it begins with. */
const lengthMin = 20

function unusualLength(key: KeyPlace, kind: string): Finding | undefined {
  const { length } = key.text
  const lengths = usualLengths[kind as keyof typeof usualLengths]
  if (lengths === undefined ? length >= lengthMin : [...lengths, ...rareLengths].includes(length))
    return undefined
  const shortest = Math.min(...(lengths ?? [lengthMin]))
  const longest = Math.max(...(lengths ?? [lengthMin]))
  const isCertain = lengths !== undefined && (length < shortest * 0.8 || length > longest * 1.25)
  return {
    code: 'key_cut_off',
    severity: isCertain ? 'error' : 'warning',
    seen: `${nameOf(key)} has ${length} characters; ${
      lengths === undefined
        ? `no key has fewer than ${lengthMin}`
        : `keys of its kind have ${lengths.join(' or ')}`
    }.`,
    cause:
      length < shortest
        ? 'A part of the key was not copied.'
        : length > longest
          ? 'Something else was copied along with the key, or the key twice.'
          : 'Some characters were probably lost or doubled when it was copied.',
    fix: `Copy it whole, or make a new one at https://platform.openai.com/api-keys: it is shown only once. ${setAgain(key)}`,
    place: key.place,
  }
}

function nameOf({ place }: KeyPlace): string {
  return isSetIn(place)
}

/** How a key is set where this one was, without it ending up in the history of a shell. */
export function setAgain({ place }: Pick<KeyPlace, 'place'>): string {
  if (place.kind === 'file')
    return `Write ${lineOf(place)} as: ${place.name ?? 'OPENAI_API_KEY'}=<the key alone>.`
  const name = place.kind === 'variable' ? place.name : 'OPENAI_API_KEY'
  if (name === givenKey) return 'Give the key alone, on one line.'
  return `Paste the key alone, then Enter, and set it anew where it is set for good:\nread -rs ${name} && export ${name}`
}

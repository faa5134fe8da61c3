import type { Secret } from './secret.ts'

/**
 * What a text that somebody calls an OpenAI key looks like. For hints only: a shape is never a reason to refuse a key
 * that the issuer accepts, since shapes are undocumented and have changed before (September 2024), and bearers of
 * workload identities have none at all.
 */
export type KeyKind =
  | 'project'
  | 'service_account'
  | 'admin'
  | 'legacy_user'
  | 'other_provider'
  | 'placeholder'
  | 'malformed'
  | 'unknown_shape'

export type KeyProblemName =
  | 'empty'
  | 'byte_order_mark'
  | 'white_space'
  | 'line_break'
  | 'control_character'
  /** `%0A`, `%20`: what a form or a URL makes of a line break or a space. */
  | 'percent_escape'
  | 'quote'
  | 'bearer_prefix'
  | 'assignment'
  | 'not_ascii'
  | 'stray_character'
  | 'unusual_length'

export interface KeyProblem {
  readonly name: KeyProblemName
  /** Where it begins: 0 for the first character, in UTF-16 code units. Absent where it concerns the whole text. */
  readonly position?: number
  /** What stands there, by name and never as it is: `line feed`, `double quote`, `U+00E9` … */
  readonly character?: string
  /** Whether a key with it cannot be one. `unusual_length` is a hint and nothing more. */
  readonly isFatal: boolean
}

export interface KeyShape {
  readonly kind: KeyKind
  /** What it would be without the stray characters around it. Equal to `kind` unless that is `malformed`. */
  readonly core: Exclude<KeyKind, 'malformed'>
  /** Whose key it looks like, where `core` is `other_provider`. */
  readonly provider?: string
  /** In the order of their positions, at most 20. */
  readonly problems: readonly KeyProblem[]
}

const problemsMax = 20
/** Far beyond any key; longer texts are looked at up to here. */
const inspectedMax = 4_096

/** Looks at the text and tells what it seems to be. No character of it is in the answer, only positions and names. */
export function inspectKeyShape(text: string): KeyShape {
  const inspected = text.slice(0, inspectedMax)
  const { core, start, found } = unwrap(inspected)
  const strays = findStrays(core, start)
  const { kind, provider } = kindOf(core)
  const length = lengthProblem(kind, core.length)
  const fatal = [...found, ...strays].toSorted((left, right) => (left.position ?? 0) - (right.position ?? 0))
  const problems = [...fatal, ...(length === undefined ? [] : [length])].slice(0, problemsMax)
  // A placeholder has strays of its own (`<your key>`); that it is one says more.
  const isMalformed = fatal.length > 0 && kind !== 'placeholder'
  return {
    kind: isMalformed ? 'malformed' : kind,
    core: kind,
    ...(provider === undefined ? {} : { provider }),
    problems,
  }
}

/** The same for a key that must not be held as a plain text by the caller. */
export function inspectSecret(secret: Secret): KeyShape {
  return inspectKeyShape(secret.reveal())
}

/** Somebody's JSON, with a key in it at best: to write a bare key over it would lose what else is there. */
export function isDocument(secret: Secret): boolean {
  return /^\s*[[{]/.test(secret.reveal())
}

type Found = { readonly core: string; readonly start: number; readonly found: KeyProblem[] }

const layers: readonly { readonly name: KeyProblemName; readonly pattern: RegExp }[] = [
  { name: 'byte_order_mark', pattern: /^\uFEFF/ },
  { name: 'white_space', pattern: /^\s/ },
  { name: 'not_ascii', pattern: /^[\u200B-\u200D\u2060]/ },
  { name: 'percent_escape', pattern: /^%(?:0[9AD]|2[02]|C2%A0|E2%80%8[BCD]|EF%BB%BF)/i },
  { name: 'quote', pattern: /^["'`\u2018\u2019\u201C\u201D]/ },
  { name: 'assignment', pattern: /^(?:export\s+)?[A-Za-z_][A-Za-z0-9_]{0,63}\s*=(?=\s*\S)/ },
  { name: 'bearer_prefix', pattern: /^(?:authorization:\s*)?bearer(?:\s+|$)/i },
]
/** The same from the back. Keys have no `%`, so three characters that begin with one are an escape. */
const endings: readonly {
  readonly name: KeyProblemName
  readonly pattern: RegExp
  readonly length: number
}[] = [
  { name: 'byte_order_mark', pattern: /\uFEFF$/, length: 1 },
  { name: 'white_space', pattern: /\s$/, length: 1 },
  { name: 'not_ascii', pattern: /[\u200B-\u200D\u2060]$/, length: 1 },
  { name: 'quote', pattern: /["'`\u2018\u2019\u201C\u201D;,]$/, length: 1 },
  { name: 'percent_escape', pattern: /%[0-9A-F]{2}$/i, length: 3 },
]
const layersMax = 40

/** Takes the layers off that people paste along with a key, from the front and from the back. */
function unwrap(text: string): Found {
  const found: KeyProblem[] = []
  if (text === '') found.push({ name: 'empty', isFatal: true })
  let start = 0
  let end = text.length
  for (let round = 0; round < layersMax && start < end; round += 1) {
    const rest = text.slice(start, end)
    const layer = layers.find(({ pattern }) => pattern.test(rest))
    if (layer === undefined) break
    const length = layer.pattern.exec(rest)?.[0].length ?? 1
    found.push(problemAt(text, start, layer.name))
    start += length
  }
  for (let round = 0; round < layersMax && start < end; round += 1) {
    const last = endings.find(({ pattern }) => pattern.test(text.slice(Math.max(start, end - 9), end)))
    if (last === undefined) break
    end -= last.length
    found.push(problemAt(text, end, last.name))
  }
  if (text !== '' && start >= end) found.push({ name: 'empty', isFatal: true })
  return { core: text.slice(start, end), start, found }
}

function findStrays(core: string, start: number): KeyProblem[] {
  const problems: KeyProblem[] = []
  for (let index = 0; index < core.length && problems.length < problemsMax; index += 1) {
    const character = core.charAt(index)
    if (/[A-Za-z0-9_.~+/=-]/.test(character)) continue
    const name = strayName(character)
    problems.push({ ...problemAt(character, 0, name), position: start + index })
  }
  return problems
}

function strayName(character: string): KeyProblemName {
  if (character === '\uFEFF') return 'byte_order_mark'
  if (/\s/.test(character)) return 'white_space'
  if (/\p{Cc}/u.test(character)) return 'control_character'
  if (/["'`\u2018\u2019\u201C\u201D]/.test(character)) return 'quote'
  return character.charCodeAt(0) > 126 ? 'not_ascii' : 'stray_character'
}

function problemAt(text: string, position: number, name: KeyProblemName): KeyProblem {
  const character = text.charAt(position)
  const isBreak = name === 'white_space' && (character === '\n' || character === '\r')
  const isWord = name === 'bearer_prefix' || name === 'assignment'
  const isEscape = name === 'percent_escape'
  return {
    name: isBreak ? 'line_break' : name,
    position,
    ...(isWord ? {} : { character: isEscape ? 'a percent escape' : characterName(character) }),
    isFatal: true,
  }
}

const characterNames: Readonly<Record<string, string>> = {
  ' ': 'space',
  '\t': 'tab',
  '\n': 'line feed',
  '\r': 'carriage return',
  '"': 'double quote',
  "'": 'single quote',
  '`': 'backtick',
  '\u00A0': 'no-break space',
  '\u200B': 'zero-width space',
  '\u200C': 'zero-width non-joiner',
  '\u200D': 'zero-width joiner',
  '\u2018': 'curly single quote',
  '\u2019': 'curly single quote',
  '\u201C': 'curly double quote',
  '\u201D': 'curly double quote',
  '\u2060': 'word joiner',
  '\uFEFF': 'byte order mark',
}

/** Printable ASCII gets no name but this: it may be a character of the key. */
function characterName(character: string): string {
  const known = characterNames[character]
  if (known !== undefined) return known
  const code = character.charCodeAt(0)
  if (code > 32 && code < 127) return 'a character that keys do not have'
  return `U+${code.toString(16).toUpperCase().padStart(4, '0')}`
}

/** Words that stand where a key should, in documentation and templates. */
const placeholder =
  /^(?:<.*>|\$\{?.*\}?|\[.*\]|\*+|x+|\.+|(?:sk-)?(?:proj-|svcacct-|admin-)?(?:\.{2,}|…|x{3,}|\*{3,}|<.*|0{8,}|1234[0-9]*)|change_?-?me|todo|none|null|undefined|dummy|fake|test|replace_?-?me|secret|password|key)$/i
const placeholderWords =
  /your[_\s-]?(?:open_?ai|api|secret|key|own)|(?:api|secret)[_-]?key[_-]?here|key[_-]?here|insert[_-]|replace[_-]|placeholder|example/i

const providers: readonly { readonly provider: string; readonly pattern: RegExp }[] = [
  { provider: 'Anthropic', pattern: /^sk-ant-/ },
  { provider: 'OpenRouter', pattern: /^sk-or-/ },
  { provider: 'Google', pattern: /^(?:AIza|ya29\.|AQ\.)/ },
  { provider: 'Groq', pattern: /^gsk_/ },
  { provider: 'Hugging Face', pattern: /^hf_/ },
  { provider: 'xAI', pattern: /^xai-/ },
  { provider: 'Perplexity', pattern: /^pplx-/ },
  { provider: 'Replicate', pattern: /^r8_/ },
  { provider: 'Fireworks', pattern: /^fw_/ },
  { provider: 'GitHub', pattern: /^(?:gh[pousr]_|github_pat_)/ },
  { provider: 'AWS', pattern: /^(?:AKIA|ASIA)[A-Z0-9]{12}/ },
  { provider: 'LiteLLM', pattern: /^sk-litellm-/ },
  { provider: 'Langfuse', pattern: /^(?:sk|pk)-lf-/ },
  { provider: 'Stripe', pattern: /^(?:sk|pk|rk)_(?:live|test)_/ },
  { provider: 'Azure OpenAI', pattern: /^(?:[0-9a-f]{32}|[A-Za-z0-9]{52}JQQJ99[A-Za-z0-9]{26})$/ },
]

function kindOf(core: string): { kind: Exclude<KeyKind, 'malformed'>; provider?: string } {
  if (placeholder.test(core)) return { kind: 'placeholder' }
  const other = providers.find(({ pattern }) => pattern.test(core))
  if (other !== undefined) return { kind: 'other_provider', provider: other.provider }
  // Random characters never spell these words; the length guards against a key that does.
  if (core.length < 60 && placeholderWords.test(core)) return { kind: 'placeholder' }
  if (core.startsWith('sk-admin-')) return { kind: 'admin' }
  if (core.startsWith('sk-svcacct-') || core.startsWith('sk-service-')) return { kind: 'service_account' }
  if (core.startsWith('sk-proj-')) return { kind: 'project' }
  if (/^sk-[A-Za-z0-9]{20,}$/.test(core)) return { kind: 'legacy_user' }
  return { kind: 'unknown_shape' }
}

/** Lengths seen up to November 2026. Others are a hint at a cut-off copy. */
export const usualLengths: Partial<Record<KeyKind, readonly number[]>> = {
  legacy_user: [51],
  project: [132, 156, 164],
  service_account: [135, 167],
  admin: [133, 165],
}

function lengthProblem(kind: KeyKind, length: number): KeyProblem | undefined {
  const known = usualLengths[kind]
  return known === undefined || known.includes(length)
    ? undefined
    : { name: 'unusual_length', isFatal: false }
}

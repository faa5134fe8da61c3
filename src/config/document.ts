import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument, visit } from 'yaml'

import { looksSecret } from './secrets.ts'
import type { ConfigProblem } from './types.ts'

/** 10,000 credentials written out take about 3 MB. */
export const configBytesMax = 8 * 1_048_576

/** A path of map keys and list indexes. */
export type KeyPath = readonly (string | number)[]

/** A parsed file that knows where everything in it stands. */
export interface ConfigDocument {
  readonly value: unknown
  /** What is wrong with the text itself; `value` is undefined where it cannot be read because of that. */
  readonly problems: readonly ConfigProblem[]
  /** The place of a key's value, or of the nearest thing around it that is there. */
  place(path: KeyPath): Place
  /** The place of the key itself. */
  placeOfKey(path: KeyPath, key: string): Place
}

export interface Place {
  readonly line: number
  readonly column: number
}

/** The parser's own sentences quote the text, in which a secret may stand; these do not. */
const syntaxSentences: Readonly<Record<string, { readonly message: string; readonly fix: string }>> = {
  TAB_AS_INDENT: {
    message: 'a tab is used to indent',
    fix: 'Indent with spaces: YAML allows no tabs there.',
  },
  BAD_INDENT: { message: 'the indentation does not fit', fix: 'Indent what belongs together equally deep.' },
  MISSING_CHAR: {
    message: 'a colon, quote or bracket is missing',
    fix: 'Close what was opened, or add the colon.',
  },
  BAD_ALIAS: {
    message: 'an alias (*name) has no anchor',
    fix: 'Write &name before the value that it stands for.',
  },
  MULTIPLE_DOCS: { message: 'a second document begins (---)', fix: 'Keep one document in the file.' },
}

const syntaxDefault = {
  message: 'this is not YAML',
  fix: 'Look at this line and the one before for a missing colon, quote, bracket or indentation.',
}

export function readDocument(text: string): ConfigDocument {
  if (text.length > configBytesMax) return tooLarge()
  try {
    return parsed(text)
  } catch (thrown) {
    // The parser, and whatever walks through what it made, calls itself for each level.
    if (thrown instanceof RangeError) return unread('it is nested deeper than can be read')
    throw thrown
  }
}

function parsed(text: string): ConfigDocument {
  const counter = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: counter,
    prettyErrors: false,
    // Compares every key with every other: seconds for ten thousand. `findings` does it with a set.
    uniqueKeys: false,
    strict: true,
    stringKeys: true,
  })
  const place = (offset: number): Place => {
    const { line, col } = counter.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  const problems = syntaxProblems(document, place)
  const { value, problem } = plainValue(document, problems.length > 0)
  if (problem !== undefined) problems.push(problem)
  problems.push(...findings(document, place))
  return {
    value,
    problems,
    place: (path) => place(offsetOf(document, path)),
    placeOfKey: (path, key) => place(offsetOfKey(document, path, key)),
  }
}

/** One for a line: what follows on it is mostly the parser's confusion about the first. */
function syntaxProblems(document: Document, place: (offset: number) => Place): ConfigProblem[] {
  const byLine = new Map<number, ConfigProblem>()
  for (const error of document.errors) {
    const at = place(error.pos[0])
    if (byLine.has(at.line)) continue
    byLine.set(at.line, { ...at, path: '', ...(syntaxSentences[error.code] ?? syntaxDefault) })
  }
  return [...byLine.values()]
}

function tooLarge(): ConfigDocument {
  return unread(`the file is larger than ${configBytesMax / 1_048_576} MB`)
}

function unread(message: string): ConfigDocument {
  const start = { line: 1, column: 1 }
  const problem: ConfigProblem = {
    ...start,
    path: '',
    message,
    fix: 'Check that this is the configuration, and not another file.',
  }
  return { value: undefined, problems: [problem], place: () => start, placeOfKey: () => start }
}

function plainValue(document: Document, isBroken: boolean): { value: unknown; problem?: ConfigProblem } {
  if (isBroken) return { value: undefined }
  try {
    return { value: document.toJS({ maxAliasCount: 1_000 }) }
  } catch {
    const fix = 'Use an anchor for one small block, and no alias inside of its own anchor.'
    return {
      value: undefined,
      problem: { line: 1, column: 1, path: '', message: 'aliases unfold into too much', fix },
    }
  }
}

/** Duplicate keys, and `${VAR}`, which would be taken literally although people expect it to be replaced. */
function findings(document: Document, place: (offset: number) => Place): ConfigProblem[] {
  const found: ConfigProblem[] = []
  visit(document, {
    Map(_, node) {
      const seen = new Set<unknown>()
      for (const { key } of node.items) {
        if (!isScalar(key)) continue
        if (seen.has(key.value)) {
          const at = place(key.range?.[0] ?? 0)
          found.push({ ...at, path: '', message: 'a key stands here twice', fix: 'Keep one of the two.' })
        }
        seen.add(key.value)
      }
    },
    Scalar(_, node) {
      if (typeof node.value !== 'string' || !/\$\{[A-Za-z_]/.test(node.value)) return
      found.push({
        ...place(node.range?.[0] ?? 0),
        path: '',
        message: '${NAME} is not replaced by the environment in this file',
        fix: 'Write the value; for a secret, name the variable: { env: NAME }.',
      })
    },
  })
  return found
}

function offsetOf(document: Document, path: KeyPath): number {
  for (let length = path.length; length >= 0; length--) {
    const node: unknown = length === 0 ? document.contents : document.getIn(path.slice(0, length), true)
    if (!isNode(node) || node.range === undefined || node.range === null) continue
    // A block map begins with its first child, which says less than the key that it belongs to.
    const key = path[length - 1]
    const isBlock = isMap(node) && node.flow !== true
    return isBlock && typeof key === 'string'
      ? offsetOfKey(document, path.slice(0, length - 1), key)
      : node.range[0]
  }
  return 0
}

function offsetOfKey(document: Document, path: KeyPath, key: string): number {
  const map: unknown = path.length === 0 ? document.contents : document.getIn(path, true)
  if (isMap(map)) {
    for (const pair of map.items) {
      if (isScalar(pair.key) && String(pair.key.value) === key) return pair.key.range?.[0] ?? 0
    }
  }
  return path.length === 0 ? 0 : offsetOf(document, path)
}

/** Secrets anywhere in the text, comments included, with their places and without themselves. */
export function secretsIn(text: string): ConfigProblem[] {
  if (text.length > configBytesMax) return []
  const found: ConfigProblem[] = []
  const lines = text.split('\n')
  for (const [index, line] of lines.entries()) {
    const column = looksSecret(line)
    if (column === undefined) continue
    found.push({
      line: index + 1,
      column: column + 1,
      path: '',
      message: 'this looks like an API key',
      fix: 'Take it out (and turn it, if the file was shared); name where it is read from instead: { env: NAME } or { file: PATH }. `keyturn bring NAME` puts a key into the store.',
    })
  }
  return found
}

import type { OptionValue } from './project-facts.ts'
import type { SourceText } from './source-text.ts'
import { reader, type VariableUse } from './variable-reads.ts'

export interface Reading {
  readonly source: SourceText
  readonly uses: readonly VariableUse[]
}

const expressionMax = 2_000

/** What the expression between the two offsets comes to, as far as the file alone tells. */
export function valueBetween(reading: Reading, from: number, to: number, mayFollow = true): OptionValue {
  const { source, uses } = reading
  const piece = source.bare.slice(from, to)
  const start = from + (piece.length - piece.trimStart().length)
  const end = from + piece.trimEnd().length
  const literal = literalAt(source, start, end)
  if (literal !== undefined) return { kind: 'literal', text: literal }
  const expression = source.bare.slice(start, end)
  if (/^(?:None|undefined|null|nil)$/.test(expression)) return { kind: 'nothing' }
  if (/^(?:true|false)$/i.test(expression))
    return { kind: 'word', text: expression.toLowerCase() === 'true' ? 'true' : 'false' }
  const used = uses.filter((use) => use.start >= start && use.end <= end && !use.isWrite)
  const [first] = used
  if (first !== undefined && used.length === 1 && isRead(source.bare.slice(start, first.start))) {
    const after = source.bare.slice(first.end, end)
    return { kind: 'variable', name: first.name, hasDefault: /\|\||\?\?|\bor\b|,|\|\s*"/.test(after) }
  }
  const name = /^([A-Za-z_]\w{0,60})!?(?:\s+as\s+\w+)?$/.exec(expression)?.[1]
  return (mayFollow && name !== undefined ? assigned(reading, name) : undefined) ?? { kind: 'unknown' }
}

/** What stands before the variable only reads it. In any other call, it may be the name of a file. */
function isRead(before: string): boolean {
  const rest = before.replace(/^(?:\(|(?:str|String)\(|\s){0,5}/, '')
  return rest === '' || reader.test(rest)
}

/** A literal that is the whole expression, with no value put into it. */
function literalAt(source: SourceText, start: number, end: number): string | undefined {
  const prefix =
    source.language === 'python'
      ? (/^[rbuf]{1,2}(?=["'])/i.exec(source.text.slice(start, start + 3))?.[0] ?? '')
      : ''
  const literal = source.literals.find((one) => one.start === start + prefix.length)
  if (literal === undefined || literal.end !== end) return undefined
  if (/f/i.test(prefix) && literal.value.includes('{')) return undefined
  const isWhole = source.text.charAt(literal.start) === source.text.charAt(literal.end - 1)
  return isWhole ? literal.value : undefined
}

/** The one value that a name is given in this file; undefined where there is none, or several. */
function assigned(reading: Reading, name: string): OptionValue | undefined {
  const { bare } = reading.source
  const assignments = Array.from(
    bare.matchAll(
      new RegExp(String.raw`(?<![\w.$])${name}(?:\s{0,5}:\s{0,5}[\w|. ]{1,40})?\s{0,5}:?=(?![=>])`, 'g'),
    ),
  )
  const [only] = assignments
  if (only === undefined || assignments.length > 1) return undefined
  const from = only.index + only[0].length
  return valueBetween(reading, from, endOfStatement(bare, from), false)
}

/** Where the expression ends: at a line end or semicolon outside of brackets. */
export function endOfStatement(bare: string, from: number): number {
  let depth = 0
  const end = Math.min(bare.length, from + expressionMax)
  for (let at = from; at < end; at += 1) {
    const character = bare.charAt(at)
    if ('([{'.includes(character)) depth += 1
    else if (')]}'.includes(character)) depth -= 1
    if (
      depth < 0 ||
      (depth === 0 && (character === ';' || (character === '\n' && bare.slice(from, at).trim() !== '')))
    )
      return at
  }
  return end
}

import type { Literal, SourceText } from './source-text.ts'

/** A place where the source reads, or sets, a variable of the environment. */
export interface VariableUse {
  readonly name: string
  readonly start: number
  readonly end: number
  readonly isWrite: boolean
}

/** How far before a literal it is looked for what it is for. */
const beforeMax = 80

/** The code in front of the name of a variable that is read, or set. */
export const reader =
  /(?:\benviron(?:\.(?:get|pop|setdefault)\s*\(|\s*\[)|\bgetenv\s*\(|\b(?:Getenv|LookupEnv)\(|\bENV(?:\[|\.fetch[\s(])|\benv::var(?:_os)?\s*\(|\b(?:option_)?env!\s*\(|\$_(?:ENV|SERVER)\[|GetEnvironmentVariable\s*\(|\b(?:process|Bun|meta)\.env\s*\[|\bDeno\.env\.get\s*\()\s{0,20}$/

/** Every use of a variable in the source, in order. */
export function variableUses(source: SourceText): readonly VariableUse[] {
  const found = source.literals.flatMap((literal) => ofLiteral(source, literal))
  if (source.language === 'javascript') found.push(...ofMembers(source), ...ofDestructuring(source))
  if (source.language === 'python') found.push(...ofSettingsClasses(source))
  if (source.language === 'shell') found.push(...ofShell(source))
  return found.toSorted((left, right) => left.start - right.start)
}

function ofLiteral(source: SourceText, literal: Literal): readonly VariableUse[] {
  if (!/^[A-Za-z_]\w{0,99}$/.test(literal.value)) return []
  const before = beforeLiteral(source, literal)
  if (!reader.test(before)) return []
  const after = source.bare.slice(literal.end, literal.end + beforeMax)
  const isWrite = /setdefault\s*\(\s*$/.test(before) || /^\s*\]\s*(?:\|\|)?=(?![=>])/.test(after)
  return [{ name: literal.value, start: literal.start, end: literal.end, isWrite }]
}

/** The code in front of a literal, as far as it says what the literal is for. */
export function beforeLiteral(source: SourceText, literal: Literal): string {
  return source.bare.slice(Math.max(0, literal.start - beforeMax), literal.start)
}

function ofMembers(source: SourceText): readonly VariableUse[] {
  const members = source.bare.matchAll(/\b(?:process|Bun|import\.meta)\.env\.([A-Za-z_]\w{0,99})/g)
  return Array.from(members, (match) => {
    const end = match.index + match[0].length
    const isWrite = /^\s*(?:\|\||\?\?)?=(?![=>])/.test(source.bare.slice(end, end + beforeMax))
    return { name: match[1] ?? '', start: match.index, end, isWrite }
  })
}

function ofDestructuring(source: SourceText): readonly VariableUse[] {
  const groups = source.bare.matchAll(
    /\{([^{}]{1,500})\}\s{0,20}=\s{0,20}(?:process|import\.meta)\.env\b(?!\s*[.[])/g,
  )
  return Array.from(groups).flatMap((group) =>
    Array.from((group[1] ?? '').matchAll(/(?:^|,)\s*([A-Za-z_]\w{0,99})/g), (match) => {
      const start = group.index + 1 + match.index + match[0].length - (match[1] ?? '').length
      return { name: match[1] ?? '', start, end: start + (match[1] ?? '').length, isWrite: false }
    }),
  )
}

/** `openai_api_key: str` in a class of pydantic-settings is read from OPENAI_API_KEY. */
function ofSettingsClasses(source: SourceText): readonly VariableUse[] {
  if (!/\(\s*BaseSettings\s*\)/.test(source.bare)) return []
  return Array.from(source.bare.matchAll(/^[ \t]+(open_?ai\w{0,60}) ?:/gim), (match) => {
    const name = match[1] ?? ''
    const start = match.index + match[0].indexOf(name)
    return { name: name.toUpperCase(), start, end: start + name.length, isWrite: false }
  })
}

function ofShell(source: SourceText): readonly VariableUse[] {
  const texts = [
    { text: source.bare, offset: 0 },
    ...source.literals
      .filter((literal) => source.text.charAt(literal.start) === '"')
      .map((literal) => ({ text: literal.value, offset: literal.start + 1 })),
  ]
  return texts.flatMap(({ text, offset }) =>
    Array.from(text.matchAll(/\$\{?([A-Z_][A-Z0-9_]{2,99})/g), (match) => ({
      name: match[1] ?? '',
      start: offset + match.index,
      end: offset + match.index + match[0].length,
      isWrite: false,
    })),
  )
}

import type { SourceText } from '../project/source-text.ts'

export interface ModuleImport {
  readonly start: number
  /** It is carried out before the file's own code, whatever line it is in. */
  readonly isHoisted: boolean
  readonly target: SourceText
}

/** Imports at the top level that lead to another of the sources, in order. */
export function importsOf(source: SourceText, sources: readonly SourceText[]): readonly ModuleImport[] {
  if (source.language === 'python') return pythonImports(source, sources)
  return source.language === 'javascript' ? scriptImports(source, sources) : []
}

const folderOf = (path: string) => path.split('/').slice(0, -1)

function pythonImports(source: SourceText, sources: readonly SourceText[]): readonly ModuleImport[] {
  const lines = source.bare.matchAll(
    /^(?:from[ \t]+(\.{0,4}[\w.]{0,120})[ \t]+import[ \t]+\(?([\w, \t]{0,200})|import[ \t]+([\w., \t]{1,200}))/gm,
  )
  return Array.from(lines).flatMap((match) => {
    const [, from, names, modules] = match
    const wanted =
      from === undefined
        ? listOf(modules)
        : [from, ...listOf(names).map((name) => (from.endsWith('.') ? `${from}${name}` : `${from}.${name}`))]
    return wanted.flatMap((module) => {
      const target = resolvePython(source, module, sources)
      return target === undefined ? [] : [{ start: match.index, isHoisted: false, target }]
    })
  })
}

function listOf(names = ''): readonly string[] {
  return names
    .split(',')
    .map((name) => name.trim().split(/\s+/)[0] ?? '')
    .filter((name) => name !== '')
}

function resolvePython(
  source: SourceText,
  module: string,
  sources: readonly SourceText[],
): SourceText | undefined {
  const dots = /^\.*/.exec(module)?.[0].length ?? 0
  const parts = module
    .slice(dots)
    .split('.')
    .filter((part) => part !== '')
  const here = folderOf(source.path)
  const bases = dots > 0 ? [here.slice(0, here.length - dots + 1)] : [here, [], ['src']]
  const paths = bases
    .map((base) => [...base, ...parts].join('/'))
    .flatMap((path) => [`${path}.py`, `${path}/__init__.py`])
  return sources.find((one) => one !== source && paths.includes(one.path))
}

function scriptImports(source: SourceText, sources: readonly SourceText[]): readonly ModuleImport[] {
  return source.literals
    .filter(({ value }) => /^\.{1,2}\//.test(value))
    .flatMap((literal) => {
      const lineStart = source.bare.lastIndexOf('\n', literal.start - 1) + 1
      const before = source.bare.slice(Math.max(lineStart, literal.start - 300), literal.start)
      // The names of an import may be on lines of their own; what counts is the `from` in front of the path.
      const isHoisted = /(?:^\s*import|\bfrom|^\s*export\b.{0,200}\bfrom)\s{0,5}$/.test(before)
      const isRequired = /\brequire\s{0,5}\(\s{0,5}$/.test(before) && isAtTopLevel(source, literal.start)
      const target = isHoisted || isRequired ? resolveScript(source, literal.value, sources) : undefined
      return target === undefined || /^\s*import\s+type\b/.test(before)
        ? []
        : [{ start: literal.start, isHoisted, target }]
    })
}

function resolveScript(
  source: SourceText,
  path: string,
  sources: readonly SourceText[],
): SourceText | undefined {
  const parts = folderOf(source.path)
  for (const part of path.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '.') parts.push(part)
  }
  const whole = parts.join('/')
  const bases = [whole, whole.replace(/\.[cm]?[jt]sx?$/, '')]
  const ends = ['', '.js', '.ts', '.mjs', '.mts', '.cjs', '.cts', '.jsx', '.tsx', '/index.js', '/index.ts']
  const paths = new Set(bases.flatMap((base) => ends.map((end) => base + end)))
  return sources.find((one) => one !== source && paths.has(one.path))
}

/** Whether the code there runs as the file is loaded: outside of functions and classes, as far as brackets and indents tell. */
export function isAtTopLevel(source: SourceText, offset: number): boolean {
  if (source.language === 'python') return !isIndented(source, offset)
  let depth = 0
  for (let at = 0; at < offset; at += 1) {
    const character = source.bare.charCodeAt(at)
    if (character === 123) depth += 1
    else if (character === 125) depth -= 1
  }
  return depth === 0
}

/** By the line in which the outermost bracket around it opens: lines within brackets may begin anywhere. */
function isIndented(source: SourceText, offset: number): boolean {
  let at = offset
  for (let steps = 0; steps < nestingMax; steps += 1) {
    const line = source.bare.lastIndexOf('\n', at - 1) + 1
    if (!/[ \t]/.test(source.bare.charAt(line))) return false
    const opener = openerBefore(source.bare, line)
    if (opener === undefined) return true
    at = opener
  }
  return true
}

const nestingMax = 20
const lookedBackMax = 4_000

/** The bracket that is open at the offset. */
function openerBefore(bare: string, offset: number): number | undefined {
  let closed = 0
  for (let at = offset - 1; at >= Math.max(0, offset - lookedBackMax); at -= 1) {
    const character = bare.charAt(at)
    if (')]}'.includes(character)) closed += 1
    else if ('([{'.includes(character)) {
      if (closed === 0) return at
      closed -= 1
    }
  }
  return undefined
}

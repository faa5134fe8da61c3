import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'

export interface Import {
  /** `core/types.ts` for a file of src, `node:fs` for a builtin, the name of the package for a package. */
  readonly target: string
  readonly kind: 'static' | 'types' | 'dynamic'
}

export interface SourceFile {
  /** From its root, with forward slashes: `core/types.ts`. */
  readonly path: string
  readonly lineCount: number
  readonly comments: string
  /** Without comments and without what stands in quotes, so that a word in a sentence is no offence. */
  readonly code: string
  readonly imports: readonly Import[]
}

export const repository: string = resolve(import.meta.dirname, '..')

export function sourceFiles(root: string): readonly SourceFile[] {
  const folder = join(repository, root)
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => name.split(sep).join('/'))
    .sort()
    .map((path) => readSource(folder, path))
}

function readSource(folder: string, path: string): SourceFile {
  const text = readFileSync(join(folder, path), 'utf8')
  const { code, comments, withStrings } = separate(text)
  const own = dirname(join(folder, path))
  const imports = importsOf(withStrings).map((one) => ({
    ...one,
    target: targetOf(one.target, own, folder),
  }))
  return { path, lineCount: text.trimEnd().split('\n').length, comments, code, imports }
}

function targetOf(specifier: string, own: string, folder: string): string {
  if (specifier.startsWith('.')) return relative(folder, resolve(own, specifier)).split(sep).join('/')
  if (specifier.startsWith('node:')) return specifier
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

/** From code without comments: `import … from`, `export … from`, bare `import '…'` and `import('…')`. */
function importsOf(code: string): Import[] {
  const statement = /^\s*(import|export)\s+(type\s)?([^'"`;()]*?\sfrom\s+)?['"]([^'"]+)['"]/gm
  const call = /\bimport\(\s*['"`]([^'"`]+)['"`]\s*\)/g
  const found: Import[] = []
  for (const [, , type, clause = '', target = ''] of code.matchAll(statement))
    found.push({ target, kind: type !== undefined || isAllTypes(clause) ? 'types' : 'static' })
  for (const [, target = ''] of code.matchAll(call)) found.push({ target, kind: 'dynamic' })
  return found
}

/** `{ type A, type B } from` loads nothing but types, as far as the reader is concerned. */
function isAllTypes(clause: string): boolean {
  const names = /^\{([^}]*)\}\s*from\s+$/.exec(clause)?.[1]?.split(',') ?? []
  const stated = names.map((name) => name.trim()).filter((name) => name !== '')
  return stated.length > 0 && stated.every((name) => name.startsWith('type '))
}

interface Separated {
  code: string
  comments: string
  withStrings: string
}

/** One walk over the text. Knows quotes, templates with code inside, comments, and regular expressions by what is before them. */
export function separate(text: string): Separated {
  const token =
    /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`|\$\{|[{}]|\/(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*|[^]/g
  const out: Separated = { code: '', comments: '', withStrings: '' }
  // What each open brace or template is, so that a closing one leads back to where it came from.
  const open: ('brace' | 'template' | 'hole')[] = []
  let match = token.exec(text)
  while (match !== null) {
    const piece = match[0]
    if (open.at(-1) === 'template') {
      const isHole = text.startsWith('${', match.index)
      if (isHole) open.push('hole')
      else if (text[match.index] === '`') open.pop()
      // Inside a template only these three mean something; everything else is walked letter by letter.
      const length = isHole || text[match.index] === '\\' ? 2 : 1
      out.withStrings += text.slice(match.index, match.index + length)
      token.lastIndex = match.index + length
    } else if (piece.startsWith('//') || piece.startsWith('/*')) {
      out.comments += `${piece}\n`
    } else if (piece.length > 1 && piece.startsWith('/') && !isRegexPlace(out.code)) {
      out.code += '/'
      out.withStrings += '/'
      token.lastIndex = match.index + 1
    } else {
      if (piece === '`') open.push('template')
      else if (piece === '{' || piece === '${') open.push('brace')
      else if (piece === '}') open.pop()
      const isQuoted = piece.length > 1 && /^['"/]/.test(piece)
      out.code += isQuoted ? "''" : piece
      out.withStrings += piece
    }
    match = token.exec(text)
  }
  return out
}

function isRegexPlace(before: string): boolean {
  return /(?:^|[(,=:[!&|?{};+\-*%<>~^]|\breturn|\btypeof|\bcase|=>)\s*$/.test(before.slice(-40))
}

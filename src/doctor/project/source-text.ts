export type Language =
  | 'javascript'
  | 'python'
  | 'go'
  | 'ruby'
  | 'rust'
  | 'php'
  | 'shell'
  /** Java, Kotlin, C#, Swift, Scala, Dart … */
  | 'c_like'

export interface Literal {
  /** Of the opening quote. */
  readonly start: number
  /** After the closing quote. */
  readonly end: number
  /** What is between the quotes, escapes as they are written. */
  readonly value: string
}

/** A source file, taken apart just as far as is needed to tell code from comments and from what is in quotes. */
export interface SourceText {
  readonly path: string
  readonly language: Language
  readonly text: string
  /** As long as the text, with blanks for comments and for what is between quotes. The quotes stay. */
  readonly bare: string
  readonly literals: readonly Literal[]
  /** 1 for the first. */
  lineAt(offset: number): number
}

const languages: readonly (readonly [Language, RegExp])[] = [
  ['javascript', /\.(?:[cm]?[jt]sx?|vue|svelte|astro)$/i],
  ['python', /\.(?:pyw?|ipynb)$/i],
  ['go', /\.go$/i],
  ['ruby', /\.(?:rb|rake|ru)$|(?:^|\/)(?:Rakefile|Gemfile)$/i],
  ['rust', /\.rs$/i],
  ['php', /\.php$/i],
  ['shell', /\.(?:sh|bash|zsh)$/i],
  ['c_like', /\.(?:java|kts?|cs|swift|scala|dart)$/i],
]

/** Undefined for what is no source: documents, data, and what a tool has squeezed. */
export function languageOf(path: string): Language | undefined {
  if (/\.min\.[cm]?js$|\.bundle\.js$|\.d\.[cm]?ts$/i.test(path)) return undefined
  return languages.find(([, pattern]) => pattern.test(path))?.[0]
}

interface Grammar {
  readonly lineComments: readonly string[]
  readonly blockComment?: readonly [string, string]
  /** Longest first. A string with `isOpenEnded` goes over line ends. */
  readonly quotes: readonly {
    readonly mark: string
    readonly spansLines: boolean
    readonly escapes: boolean
  }[]
}

const plainQuotes = ['"', "'"].map((mark) => ({ mark, spansLines: false, escapes: true }))
const longQuotes = ['"', "'"].map((mark) => ({ mark, spansLines: true, escapes: true }))
const slashes: Grammar = { lineComments: ['//'], blockComment: ['/*', '*/'], quotes: plainQuotes }

const grammars: Readonly<Record<Language, Grammar>> = {
  javascript: { ...slashes, quotes: [...plainQuotes, { mark: '`', spansLines: true, escapes: true }] },
  python: {
    lineComments: ['#'],
    quotes: [...['"""', "'''"].map((mark) => ({ mark, spansLines: true, escapes: true })), ...plainQuotes],
  },
  go: { ...slashes, quotes: [...plainQuotes, { mark: '`', spansLines: true, escapes: false }] },
  ruby: { lineComments: ['#'], quotes: longQuotes },
  // A quote alone begins the name of a lifetime more often than a character.
  rust: { ...slashes, quotes: [{ mark: '"', spansLines: true, escapes: true }] },
  php: { lineComments: ['//', '#'], blockComment: ['/*', '*/'], quotes: longQuotes },
  shell: {
    lineComments: ['#'],
    quotes: [
      { mark: '"', spansLines: true, escapes: true },
      { mark: "'", spansLines: true, escapes: false },
    ],
  },
  c_like: { ...slashes, quotes: [{ mark: '"""', spansLines: true, escapes: true }, ...plainQuotes] },
}

/** One pass over the text, from one character that matters to the next; its work grows with the length alone. */
export function readSource(path: string, language: Language, text: string): SourceText {
  const grammar = grammars[language]
  const literals: Literal[] = []
  const blanks: (readonly [number, number])[] = []
  /** Depths of braces of the `${` that are open, in JavaScript. */
  const open: number[] = []
  const interesting = /["'`#/{}]/g
  let at = 0
  const readTemplate = (start: number) => {
    const end = endOfTemplatePiece(text, start + 1)
    blanks.push([start + 1, end])
    literals.push({ start, end: Math.min(end + 1, text.length), value: text.slice(start + 1, end) })
    if (text.startsWith('${', end)) open.push(0)
    return text.startsWith('${', end) ? end + 2 : end + 1
  }
  while (at < text.length) {
    interesting.lastIndex = at
    const match = interesting.exec(text)
    if (match === null) break
    at = match.index
    const comment = endOfComment(text, at, grammar, language)
    if (comment !== undefined) {
      blanks.push([at, comment])
      at = comment
      continue
    }
    const character = text.charAt(at)
    const quote = grammar.quotes.find(({ mark }) => text.startsWith(mark, at))
    if (quote !== undefined && quote.mark === '`' && language === 'javascript') at = readTemplate(at)
    else if (quote !== undefined) {
      const from = at + quote.mark.length
      const end = endOfString(text, from, quote)
      blanks.push([from, end])
      const isClosed = text.startsWith(quote.mark, end)
      const after = isClosed ? end + quote.mark.length : end
      if (isClosed) literals.push({ start: at, end: after, value: text.slice(from, end) })
      at = Math.max(after, at + 1)
    } else if (language === 'javascript' && character === '/') {
      const end = endOfPattern(text, at)
      if (end !== undefined) blanks.push([at + 1, end - 1])
      at = end ?? at + 1
    } else if (open.length > 0 && character === '{') {
      open.push((open.pop() ?? 0) + 1)
      at += 1
    } else if (open.length > 0 && character === '}') {
      const depth = open.pop() ?? 0
      if (depth > 0) open.push(depth - 1)
      at = depth > 0 ? at + 1 : readTemplate(at)
    } else at += 1
  }
  return { path, language, text, bare: blanked(text, blanks), literals, lineAt: lineFinder(text) }
}

function endOfComment(text: string, at: number, grammar: Grammar, language: Language): number | undefined {
  const isLine = grammar.lineComments.some((mark) => text.startsWith(mark, at))
  // `$#`, `${name#prefix}` and colours are no comments; a URL's slashes are in quotes.
  if (isLine && !(language === 'shell' && at > 0 && !/[\s;]/.test(text.charAt(at - 1)))) {
    const end = text.indexOf('\n', at)
    return end === -1 ? text.length : end
  }
  const [begin, finish] = grammar.blockComment ?? []
  if (begin === undefined || finish === undefined || !text.startsWith(begin, at)) return undefined
  const end = text.indexOf(finish, at + begin.length)
  return end === -1 ? text.length : end + finish.length
}

function endOfString(text: string, from: number, quote: Grammar['quotes'][number]): number {
  const stop = quote.escapes ? /["'`\\\n]/g : /["'`\n]/g
  stop.lastIndex = from
  for (let match = stop.exec(text); match !== null; match = stop.exec(text)) {
    if (match[0] === '\\') stop.lastIndex = match.index + 2
    else if (text.startsWith(quote.mark, match.index)) return match.index
    else if (match[0] === '\n' && !quote.spansLines) return match.index
  }
  return text.length
}

function endOfTemplatePiece(text: string, from: number): number {
  const stop = /[`\\]|\$\{/g
  stop.lastIndex = from
  for (let match = stop.exec(text); match !== null; match = stop.exec(text)) {
    if (match[0] !== '\\') return match.index
    stop.lastIndex = match.index + 2
  }
  return text.length
}

/** A slash begins a pattern where a value may begin; everywhere else it divides. */
function endOfPattern(text: string, at: number): number | undefined {
  const before = text.slice(Math.max(0, at - 40), at).trimEnd()
  if (before !== '' && !/(?:[(,=:[!&|?{};+\-*%~^<>]|\b(?:return|typeof|case|in|of|void))$/.test(before))
    return undefined
  let isInClass = false
  for (let index = at + 1; index < Math.min(text.length, at + 2_000); index += 1) {
    const character = text.charAt(index)
    if (character === '\n') return undefined
    if (character === '\\') index += 1
    else if (character === '[') isInClass = true
    else if (character === ']') isInClass = false
    else if (character === '/' && !isInClass) return index + 1
  }
  return undefined
}

function blanked(text: string, blanks: readonly (readonly [number, number])[]): string {
  const pieces: string[] = []
  let done = 0
  for (const [from, to] of blanks) {
    pieces.push(text.slice(done, from), text.slice(from, to).replaceAll(/[^\n]/g, ' '))
    done = to
  }
  return pieces.join('') + text.slice(done)
}

/** The starts of lines are looked for once, when the first line is asked for. */
function lineFinder(text: string): (offset: number) => number {
  let starts: number[] | undefined
  return (offset) => {
    starts ??= startsOf(text)
    let low = 0
    let high = starts.length
    while (low + 1 < high) {
      const middle = (low + high) >> 1
      if ((starts[middle] ?? 0) <= offset) low = middle
      else high = middle
    }
    return low + 1
  }
}

function startsOf(text: string): number[] {
  const starts = [0]
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return starts
}

import type { Place } from '../finding.ts'
import { endOfStatement, type Reading, valueBetween } from './option-value.ts'
import type { ClientCall, ClientOption } from './project-facts.ts'
import type { SourceText } from './source-text.ts'

/** A call's arguments are read up to here. */
const argumentsMax = 6_000
const callsMax = 200

const builder =
  /(?<![\w$])((?:openai\.)?(?:Async)?(?:Azure)?OpenAI(?:Client|Api)?|createOpenAI|(?:Azure)?ChatOpenAI|(?:Azure)?OpenAIEmbeddings|OpenAI::Client\.new|openai\.NewClient|Configuration)\s{0,5}\(/g

/** Settings of the whole module: `openai.api_key = …`. */
const moduleSetting = /(?<![\w.$])openai\.(api_key|api_base|base_url|api_type|organization)\s{0,5}=(?![=>])/g

/** Where a file builds a client of OpenAI, or sets one up, and with which options. */
export function clientCalls(reading: Reading): readonly ClientCall[] {
  return [...built(reading), ...moduleSettings(reading), ...environmentSettings(reading), ...headers(reading)]
    .slice(0, callsMax)
    .toSorted((left, right) => left.start - right.start)
}

function built(reading: Reading): ClientCall[] {
  const { source } = reading
  return Array.from(source.bare.matchAll(builder)).flatMap((match) => {
    const name = match[1] ?? ''
    const before = source.bare.slice(Math.max(0, match.index - 20), match.index)
    if (/\b(?:class|def|function|func|interface)\s+$/.test(before)) return []
    // The name of the third version's settings; many other libraries have one, too.
    if (name === 'Configuration' && !/['"]openai['"]/.test(source.text)) return []
    const from = match.index + match[0].length
    const to = endOfStatement(source.bare.slice(0, from + argumentsMax), from)
    return [call(source, name, { start: match.index, end: to }, optionsOf(reading, name, from, to))]
  })
}

function optionsOf(reading: Reading, name: string, from: number, to: number): readonly ClientOption[] {
  const { source } = reading
  return argumentsOf(source.bare, from, to).flatMap(([start, end], index) => {
    const piece = source.bare.slice(start, end)
    const brace = /^\s*\{/.exec(piece)?.[0].length
    if (brace !== undefined) {
      const close = Math.max(start + brace, start + piece.trimEnd().length - 1)
      return argumentsOf(source.bare, start + brace, close).flatMap(([inner, last]) =>
        namedOption(reading, inner, last, true),
      )
    }
    const isPositionalKey =
      index === 0 &&
      (name === 'openai.NewClient' || (source.language === 'c_like' && name === 'OpenAIClient'))
    if (isPositionalKey && /^\s*(?:["']|os\.Getenv|Environment\.)/.test(piece))
      return [option(reading, 'apikey', start, start, end)]
    return namedOption(reading, start, end, false)
  })
}

function namedOption(
  reading: Reading,
  start: number,
  end: number,
  isObject: boolean,
): readonly ClientOption[] {
  const piece = reading.source.bare.slice(start, end)
  const named = /^\s*([A-Za-z_]\w{0,60})\s{0,20}[:=](?![=>:])/.exec(piece)
  if (named !== null) return [option(reading, named[1] ?? '', start, start + named[0].length, end)]
  const short = isObject ? /^\s*([A-Za-z_]\w{0,60})\s*$/.exec(piece) : null
  if (short !== null) return [option(reading, short[1] ?? '', start, start, end)]
  // Go's options are calls: option.WithAPIKey("…").
  const withCall = /^\s*option\.With(APIKey|BaseURL)\(/.exec(piece)
  if (withCall === null) return []
  const close = start + piece.lastIndexOf(')')
  return [option(reading, withCall[1] ?? '', start, start + withCall[0].length, Math.max(close, start))]
}

function option(reading: Reading, name: string, start: number, from: number, to: number): ClientOption {
  const { source } = reading
  const lead = source.bare.slice(start, to)
  const at = start + (lead.length - lead.trimStart().length)
  return { name: plain(name), place: placeOf(source, at, name), value: valueBetween(reading, from, to) }
}

const aliases: Readonly<Record<string, string>> = {
  accesstoken: 'apikey',
  openaiapikey: 'apikey',
  apibase: 'baseurl',
  openaiapibase: 'baseurl',
  uribase: 'baseurl',
  basepath: 'baseurl',
}

function plain(name: string): string {
  const short = name.toLowerCase().replaceAll(/[-_]/g, '')
  return aliases[short] ?? short
}

/** The ranges between the commas of one level. */
function argumentsOf(bare: string, from: number, to: number): readonly (readonly [number, number])[] {
  const ranges: (readonly [number, number])[] = []
  let depth = 0
  let start = from
  for (let at = from; at < to; at += 1) {
    const character = bare.charAt(at)
    if ('([{'.includes(character)) depth += 1
    else if (')]}'.includes(character)) depth -= 1
    else if (character === ',' && depth === 0) {
      ranges.push([start, at])
      start = at + 1
    }
  }
  ranges.push([start, to])
  return ranges.filter(([one, other]) => bare.slice(one, other).trim() !== '')
}

function moduleSettings(reading: Reading): ClientCall[] {
  const { source } = reading
  if (source.language !== 'python') return []
  return Array.from(source.bare.matchAll(moduleSetting), (match) => {
    const from = match.index + match[0].length
    const end = endOfStatement(source.bare, from)
    return call(source, 'openai', { start: match.index, end }, [
      option(reading, match[1] ?? '', match.index, from, end),
    ])
  })
}

/** `os.environ["OPENAI_API_KEY"] = …`: as good as an option. */
function environmentSettings(reading: Reading): ClientCall[] {
  const { source, uses } = reading
  const names: Readonly<Record<string, string>> = { OPENAI_API_KEY: 'apikey', OPENAI_BASE_URL: 'baseurl' }
  return uses
    .filter((use) => use.isWrite)
    .flatMap((use) => {
      const name = names[use.name]
      const sign = /^\s*\]?\s*(?:\|\||\?\?)?[=,]/.exec(source.bare.slice(use.end, use.end + 40))?.[0]
      if (name === undefined || sign === undefined) return []
      const from = use.end + sign.length
      const end = endOfStatement(source.bare, from)
      const value = valueBetween(reading, from, end)
      const isDefault = sign.endsWith(',') || /[|?]{2}=$/.test(sign)
      return [
        call(source, isDefault ? 'environment default' : 'environment', { start: use.start, end }, [
          { name, place: placeOf(source, use.start, use.name), value },
        ]),
      ]
    })
}

/** A request that is written by hand, with the key in its header. */
function headers(reading: Reading): ClientCall[] {
  const { source } = reading
  if (!source.text.includes('api.openai.com')) return []
  return source.literals.flatMap((literal) => {
    const text = /^(?:Authorization:\s*)?Bearer\s+(\S.*)$/i.exec(literal.value.slice(0, 400))?.[1]
    if (text === undefined || /[${}%]/.test(text) || source.text.charAt(literal.end - 1) === '{') return []
    return [
      call(source, 'header', literal, [
        {
          name: 'apikey',
          place: placeOf(source, literal.start, 'Authorization'),
          value: { kind: 'literal', text },
        },
      ]),
    ]
  })
}

function call(
  source: SourceText,
  name: string,
  range: { readonly start: number; readonly end: number },
  options: readonly ClientOption[],
): ClientCall {
  return { name, source, start: range.start, end: range.end, place: placeOf(source, range.start), options }
}

export function placeOf(source: SourceText, offset: number, name?: string): Place {
  return {
    kind: 'file',
    path: source.path,
    line: source.lineAt(offset),
    ...(name === undefined ? {} : { name }),
  }
}

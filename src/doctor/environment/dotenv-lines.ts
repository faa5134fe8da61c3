import type { Check } from '../check.ts'
import { dialects } from '../dotenv/dialects.ts'
import type { DotenvFault, DotenvFaultName } from '../dotenv/faults.ts'
import type { DotenvFile, Facts } from '../facts.ts'
import type { Finding } from '../finding.ts'
import { shellWord } from '../shell-word.ts'
import { placeIn } from './used-keys.ts'

/** T25: lines about OpenAI that are not read as they are meant, and names that are set twice. */
export const lines: Check = {
  name: 'dotenv-lines',
  needsNetwork: false,
  async run(facts) {
    return readableFiles(facts).flatMap((file) => [
      ...file.faults.map((fault) => malformed(file, fault)),
      ...duplicates(file),
    ])
  },
}

/** What nobody loads is told as that, and matters only where it would be needed. */
function readableFiles(facts: Facts): readonly DotenvFile[] {
  return facts.dotenv.filter(({ loaders }) => loaders.length > 0 || facts.key === undefined)
}

interface Words {
  readonly seen: string
  readonly cause: string
}

const words: Readonly<Record<DotenvFaultName, (reader: string) => Words>> = {
  utf16: () => ({
    seen: 'it is in UTF-16',
    cause: 'Nothing that reads dotenv files reads UTF-16, which PowerShell writes.',
  }),
  byte_order_mark: (reader) => ({
    seen: 'there is a byte order mark in front of the name',
    cause: `${reader} takes the byte order mark for a part of the name.`,
  }),
  export_prefix: (reader) => ({ seen: 'it begins with export', cause: `${reader} does not know export.` }),
  foreign_prefix: (reader) => ({
    seen: 'it begins with a word that belongs to another language',
    cause: `${reader} knows NAME=value only.`,
  }),
  spaces_around_equals: (reader) => ({
    seen: 'there are spaces around =',
    cause: `${reader} takes no spaces around =.`,
  }),
  colon: (reader) => ({ seen: 'there is a colon in place of =', cause: `${reader} knows NAME=value only.` }),
  no_equals: (reader) => ({ seen: 'there is no =', cause: `${reader} knows NAME=value only.` }),
  quoted_name: (reader) => ({
    seen: 'the name is in quotes',
    cause: `${reader} takes no quotes around a name.`,
  }),
  quotes_kept: (reader) => ({
    seen: 'the value is in quotes',
    cause: `${reader} takes the quotes for a part of the value.`,
  }),
  quote_unclosed: (reader) => ({
    seen: 'a quote is opened or closed, and its other half is missing',
    cause: `${reader} drops such a line, or takes the quote for a part of the value.`,
  }),
  after_quote: (reader) => ({
    seen: 'something follows the closing quote',
    cause: `${reader} drops a line that goes on after the quotes.`,
  }),
  comment_kept: (reader) => ({
    seen: 'a comment follows the value',
    cause: `${reader} takes the comment for a part of the value.`,
  }),
  carriage_return: (reader) => ({
    seen: 'it ends as lines do on Windows (CRLF)',
    cause: `${reader} takes the carriage return for a part of the value.`,
  }),
  line_wrapped: (reader) => ({
    seen: 'the value goes on in the next line',
    cause: `${reader} reads the first of the lines only, so the key is cut off.`,
  }),
  swallowed: (reader) => ({
    seen: 'it is inside of the quotes that an earlier line opened',
    cause: `${reader} takes the line for a part of that other value.`,
  }),
  not_expanded: (reader) => ({
    seen: 'its value names another variable',
    cause: `${reader} does not put other variables in; the program gets the name as it is written.`,
  }),
}

function malformed(file: DotenvFile, { fault, name, line, dialect }: DotenvFault): Finding {
  const { seen, cause } = words[fault](capitalised(dialects[dialect].title))
  const isFile = fault === 'utf16'
  return {
    code: 'dotenv_malformed',
    severity: 'error',
    seen: `${isFile ? file.path : `${file.path}:${line}, meant to set ${name}`}: ${seen}.`,
    cause,
    fix: isFile
      ? `iconv -f UTF-16 -t UTF-8 ${file.path} > ${file.path}.new && mv ${file.path}.new ${file.path}`
      : corrected(file, { fault, name, line }),
    place: { kind: 'file', path: file.path, line, name },
  }
}

function corrected(file: DotenvFile, { fault, name, line }: Omit<DotenvFault, 'dialect'>): string {
  const path = shellWord(file.path)
  const edited = (command: string) => `sed -i.bak '${command}' ${path} && rm ${shellWord(`${file.path}.bak`)}`
  if (fault === 'carriage_return') return edited('s/\\r$//')
  if (fault === 'spaces_around_equals') return edited(`${line}s/[[:space:]]*=[[:space:]]*/=/`)
  if (fault === 'export_prefix') return edited(`${line}s/^[[:space:]]*export[[:space:]]*//`)
  // No editor shows the mark, and what writes one writes carriage returns as well.
  if (fault === 'byte_order_mark') {
    const copy = shellWord(`${file.path}.new`)
    return `tail -c +4 ${path} | tr -d '\\r' > ${copy} && cat ${copy} > ${path} && rm ${copy}`
  }
  if (fault === 'swallowed')
    return `Close the quote above line ${line} of ${file.path}; the line itself may stay.`
  return `Write line ${line} of ${file.path} as: ${name}=<value>`
}

function duplicates(file: DotenvFile): readonly Finding[] {
  return file.variables.flatMap((variable, index) => {
    const { name, text, line } = variable
    if (!/^OPENAI_(?:API_KEY|BASE_URL|ORG_ID|PROJECT_ID)$/.test(name)) return []
    const before = file.variables.slice(0, index).findLast((one) => one.name === name)
    if (before === undefined || before.text.equals(text)) return []
    return [
      {
        code: 'dotenv_duplicate',
        severity: 'warning',
        seen: `${name} is set in line ${before.line} and in line ${line} of ${file.path}, to different values.`,
        cause: `The last one counts, so line ${before.line} does nothing.`,
        fix: `Take out line ${line}, or, where that one is right:\nsed -i.bak '${before.line}d' ${shellWord(file.path)} && rm ${shellWord(`${file.path}.bak`)}`,
        place: placeIn(file, variable),
      },
    ]
  })
}

function capitalised(text: string): string {
  return text.startsWith('the ') ? `T${text.slice(1)}` : text
}

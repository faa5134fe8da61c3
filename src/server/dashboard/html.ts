/** Text that is markup: made by `html` alone, so that nothing else gets onto a page as it is. */
export class Html {
  readonly #text: string

  private constructor(text: string) {
    this.#text = text
  }

  toString(): string {
    return this.#text
  }

  /** What stands between the parts is ours; the parts are escaped, whatever they hold. */
  static of(strings: TemplateStringsArray, parts: readonly Part[]): Html {
    let text = strings[0] ?? ''
    let own = text
    parts.forEach((part, index) => {
      refuseBare(own, part)
      own += strings[index + 1] ?? ''
      text += rendered(part) + (strings[index + 1] ?? '')
    })
    return new Html(text)
  }
}

/** `undefined`, `null` and `false` leave nothing. */
export type Part = Html | string | number | undefined | null | false | readonly Part[]

/** A piece of a page. Values are escaped for text and for attributes in quotes; lists are put one after another. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return Html.of(strings, parts)
}

/** Without quotes a blank ends the value of an attribute, and begins another one of somebody else's choice. */
function refuseBare(before: string, part: Part): void {
  const tag = before.lastIndexOf('<')
  const isInTag = tag > before.lastIndexOf('>')
  const isQuoted = (before.slice(Math.max(0, tag)).split('"').length - 1) % 2 === 1
  const isValue = (typeof part === 'string' && part !== '') || typeof part === 'number'
  if (isValue && !isQuoted && (isInTag || /=\s*$/.test(before)))
    throw new TypeError('a value in a tag stands in quotes')
}

function rendered(part: Part): string {
  if (part instanceof Html) return part.toString()
  if (part === undefined || part === null || part === false) return ''
  if (typeof part === 'string' || typeof part === 'number') return escaped(String(part))
  return part.map(rendered).join('')
}

const marks: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '`': '&#96;',
}

/** Marks that turn the reading direction go as well: they could show a name as another. */
function escaped(text: string): string {
  return text
    .replaceAll(/[\p{Bidi_Control}\p{Cc}]/gu, (mark) => (mark === '\n' || mark === '\t' ? mark : '\uFFFD'))
    .replaceAll(/[&<>"'`]/g, (mark) => marks[mark] ?? '')
}

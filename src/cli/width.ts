/** How much room text takes on a terminal, which is not how many characters it has. */

/** Made when a text first needs it: that loads what ICU knows of languages, 10 ms of every start. */
let segmenter: Intl.Segmenter | undefined

/** What a terminal draws two columns wide: East Asian wide and full-width forms, and pictures (Unicode 16, EastAsianWidth.txt). */
const wide =
  /[\u1100-\u115f\u2329\u232a\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{16fe0}-\u{18cff}\u{1b000}-\u{1b2ff}\u{1f200}-\u{1f265}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}|\ufe0f/u

/** Marks over other characters, and what is not drawn at all. */
const unseen = /^[\p{Mn}\p{Me}\p{Cf}]+$/u

/** Nearly all text is. */
const plain = /^[\u0020-\u007e]*$/

/** What a reader takes for one character each. */
export function graphemes(text: string): readonly string[] {
  if (plain.test(text)) return text.split('')
  segmenter ??= new Intl.Segmenter('en', { granularity: 'grapheme' })
  return Array.from(segmenter.segment(text), ({ segment }) => segment)
}

/** Columns that one of `graphemes` takes. */
function columnsOf(grapheme: string): number {
  if (unseen.test(grapheme)) return 0
  return wide.test(grapheme) ? 2 : 1
}

/** Columns that a line takes; without colours or controls in it. */
export function widthOf(text: string): number {
  if (plain.test(text)) return text.length
  return graphemes(text).reduce((sum, one) => sum + columnsOf(one), 0)
}

/** As many of its characters as fit. */
export function fitting(text: string, columns: number): string {
  let left = columns
  const kept: string[] = []
  for (const one of graphemes(text)) {
    left -= columnsOf(one)
    if (left < 0) break
    kept.push(one)
  }
  return kept.join('')
}

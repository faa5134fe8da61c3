/** Where a command ends in a shell: an operator, the end of a substitution, a comment. */
const ends = /^(?:[|;&<>)]|\n|#)/

/**
 * The command lines of `keyturn` in a piece of shell, as words: behind `npx`, variables, pipes, and inside of `$(…)` too.
 * Quotes are taken off; what the shell would put in place of a variable stays as it is written.
 */
export function keyturnLines(shell: string): readonly (readonly string[])[] {
  const joined = shell.replaceAll(/\\\n\s*/g, ' ')
  return [...joined.matchAll(/(?<![\w./-])keyturn(?=[ \n"')`;|&]|$)/g)]
    .filter(({ index }) => isCommand(joined.slice(0, index)))
    .map(({ index }) => wordsOf(joined.slice(index + 'keyturn'.length)))
}

/** At the beginning of a line or a substitution, or behind an operator, `npx` or a variable that is set. */
function isCommand(before: string): boolean {
  const line = before.slice(before.lastIndexOf('\n') + 1)
  if (/(?:^|\s)#/.test(line)) return false
  return /(?:^|[|;&(]|\b(?:npx|then|do|exec|sudo))\s*(?:[A-Z_]+=\S+\s+)*$/.test(line)
}

function wordsOf(text: string): readonly string[] {
  const words: string[] = []
  let rest = text
  while (rest !== '') {
    rest = rest.replace(/^[ \t]+/, '')
    if (rest === '' || ends.test(rest)) return words
    const word = /^(?:"[^"]*"|'[^']*'|[^\s|;&<>)"'])+/.exec(rest)?.[0]
    if (word === undefined) return words
    rest = rest.slice(word.length)
    // The number before a redirection belongs to it.
    if (/^\d$/.test(word) && /^[<>]/.test(rest)) return words
    words.push(word.replaceAll(/"([^"]*)"|'([^']*)'/g, '$1$2'))
  }
  return words
}

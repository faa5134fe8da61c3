/** What is likely to be meant or overlooked where a variable is not what somebody thinks it is. Names only, no values. */

/** More names than these help nobody. */
const namesMax = 3
/** `OPENAI_KEY` and `OPEN_AI_KEY` are three letters away from `OPENAI_API_KEY`. */
const distanceMax = 3
/** Longer names are not compared: the effort grows with the square. */
const lengthMax = 64

/** Names that are there and look like the one that is not. An admin key is never one: it is no key for apps. */
export function similarNames(wanted: string, names: Iterable<string>): readonly string[] {
  const found = []
  for (const name of names) {
    if (name === wanted || name.length > lengthMax || /admin/i.test(name)) continue
    const distance = distanceOf(lettersOf(wanted), lettersOf(name))
    if (distance <= Math.min(distanceMax, lettersOf(wanted).length / 4)) found.push({ name, distance })
  }
  return found
    .toSorted((one, other) => one.distance - other.distance)
    .slice(0, namesMax)
    .map(({ name }) => name)
}

/** The lines of a .env file that set the variable, counted from 1. Of several the last one counts. */
export function linesSetting(variable: string, text: string): readonly number[] {
  const pattern = new RegExp(`^\\s*(?:export\\s+)?${variable}\\s*=`)
  return text.split('\n').flatMap((line, index) => (pattern.test(line) ? [index + 1] : []))
}

function lettersOf(name: string): string {
  return name.toUpperCase().replaceAll('_', '')
}

/** Levenshtein's. */
function distanceOf(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let i = 1; i <= one.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= other.length; j += 1) {
      const isSame = one[i - 1] === other[j - 1]
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (isSame ? 0 : 1)))
    }
    row = next
  }
  return row[other.length] ?? 0
}

/** Names of credentials, people and machines as rules write them: `*` stands for any characters. */
export interface Matcher {
  /** Whether one of the patterns is `*` alone. */
  readonly isAll: boolean
  matches(name: string): boolean
}

export function createMatcher(patterns: readonly string[]): Matcher {
  const isAll = patterns.includes('*')
  const exact = new Set(patterns.filter((pattern) => !pattern.includes('*')))
  const globs = patterns.filter((pattern) => pattern.includes('*')).map((pattern) => globOf(pattern))
  return {
    isAll,
    matches: (name) => isAll || exact.has(name) || globs.some((glob) => glob(name)),
  }
}

/**
 * `*` for any characters, or for any but those of `never`. By parts and not as a regular expression: no pattern can make
 * it slow, and none has a second meaning.
 */
export function globOf(pattern: string, never: readonly string[] = []): (text: string) => boolean {
  const parts = pattern.split('*')
  const isClean = (text: string): boolean => !never.some((character) => text.includes(character))
  const fits = (text: string, index: number): boolean => {
    const part = parts[index] ?? ''
    if (index === parts.length - 1)
      return text.endsWith(part) && isClean(text.slice(0, text.length - part.length))
    // The first place that fits is as good as any later one, unless a star must not reach that far.
    const at = text.indexOf(part)
    return at >= 0 && isClean(text.slice(0, at)) && fits(text.slice(at + part.length), index + 1)
  }
  const [first = ''] = parts
  if (parts.length === 1) return (text) => text === pattern
  return (text) => text.startsWith(first) && fits(text.slice(first.length), 1)
}

/**
 * The same for names with parts: `*` stops at `.`, `/` and `:`, and `**` stops at nothing. All places that the text read
 * so far could be at are kept at once, so that the time is bounded by the product of the two lengths.
 */
export function partsGlob(pattern: string): (text: string) => boolean {
  const steps = pattern.match(/\*\*|\*|[^*]/gu) ?? []
  return (text) => {
    let places = reached(steps, new Set([0]))
    for (const character of text) {
      const next = new Set<number>()
      for (const place of places) {
        const step = steps[place]
        const isStar = step === '**' || (step === '*' && !separators.has(character))
        if (isStar) next.add(place)
        else if (step === character) next.add(place + 1)
      }
      if (next.size === 0) return false
      places = reached(steps, next)
    }
    return places.has(steps.length)
  }
}

const separators = new Set(['.', '/', ':'])

/** A star may stand for nothing. */
function reached(steps: readonly string[], places: Set<number>): Set<number> {
  for (const place of places) if (steps[place]?.startsWith('*') === true) places.add(place + 1)
  return places
}

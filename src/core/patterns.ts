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

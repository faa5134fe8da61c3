const nameCharsMax = 200

/**
 * A name that others chose, as it is shown and written down: visible, without spaces, bounded. Two names may come to look
 * the same; who is let in is decided before, on the whole name. Undefined where nothing is left.
 */
export function shownName(name: string): string | undefined {
  const shown = name.replaceAll(/[^A-Za-z0-9._@/:+=-]/g, '_')
  return shown.length === 0 || shown.length > nameCharsMax ? undefined : shown
}

const linesMax = 2_000

/** Whether a file at the top of the build's folder stays out of the image. The last line that fits decides. */
export function leavesOut(dockerignore: string, name: string): boolean {
  let isOut = false
  for (const line of dockerignore.split(/\r?\n/, linesMax)) {
    const text = line.trim()
    if (text === '' || text.startsWith('#')) continue
    const isException = text.startsWith('!')
    const pattern = text
      .slice(isException ? 1 : 0)
      .replace(/^\/+|^\.\/|\/+$/g, '')
      .replace(/^(?:\*\*\/)+/, '')
    if (fits(pattern, name)) isOut = !isException
  }
  return isOut
}

/** Stars and question marks, matched step by step: work grows with the two lengths alone, whatever the pattern. */
function fits(pattern: string, name: string): boolean {
  if (pattern === '**') return true
  let reached = new Set([0])
  for (const character of pattern.replaceAll(/\*+/g, '*').slice(0, 200)) {
    const next = new Set<number>()
    for (const at of reached) {
      if (character === '*') for (let end = at; end <= name.length; end += 1) next.add(end)
      else if (at < name.length && (character === '?' || name.charAt(at) === character)) next.add(at + 1)
    }
    reached = next
  }
  return reached.has(name.length)
}

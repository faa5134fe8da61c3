export interface Instruction {
  /** In upper case. */
  readonly name: string
  /** Where it begins; 1 for the first. */
  readonly line: number
  /** What comes after the name, its lines put together. */
  readonly text: string
}

const linesMax = 5_000
const textMax = 8_000

/** The instructions of a Dockerfile. Comments are left out, those between continued lines among them. */
export function readDockerfile(text: string): readonly Instruction[] {
  const found: Instruction[] = []
  const lines = text.split(/\r?\n/, linesMax)
  // `# escape=` at the top, for Windows.
  const escape = /^#\s*escape\s*=\s*`/im.test(lines[0] ?? '') ? '`' : '\\'
  for (let at = 0; at < lines.length; at += 1) {
    const match = /^\s*([A-Za-z]{2,20})\s+(\S.*)$/.exec((lines[at] ?? '').slice(0, textMax))
    if (match === null) continue
    const line = at + 1
    let whole = match[2] ?? ''
    while (whole.trimEnd().endsWith(escape) && at + 1 < lines.length && whole.length < textMax) {
      at += 1
      const next = (lines[at] ?? '').slice(0, textMax)
      const isComment = /^\s*#/.test(next)
      whole = isComment ? whole : `${whole.trimEnd().slice(0, -1)} ${next}`
    }
    found.push({ name: (match[1] ?? '').toUpperCase(), line, text: whole.trim() })
  }
  return found
}

/** What an expression of PromQL names: enough of its grammar to tell metrics, labels and functions apart. */
export interface Named {
  readonly metric: string
  /** Labels in the braces behind it. */
  readonly labels: readonly string[]
}

export interface Expression {
  readonly selectors: readonly Named[]
  /** Labels that are grouped, joined or ignored by. */
  readonly groupings: readonly string[]
}

const words = new Set(['and', 'or', 'unless', 'by', 'without', 'on', 'ignoring', 'bool', 'offset'])
const matcher = /\s*([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)\s*"(?:[^"\\]|\\.)*"\s*,?/gy

export function readExpression(text: string): Expression {
  const selectors: Named[] = []
  const groupings: string[] = []
  // Ranges, variables of Grafana and durations name no metric.
  const plain = text.replaceAll(/\[[^\]]*\]|\boffset\s+\d+[smhdw]/g, '')
  const token =
    /"(?:[^"\\]|\\.)*"|\b(?:by|without|on|ignoring)\s*\(([^)]*)\)|([a-zA-Z_:][\w:]*)(\s*[({]|\s+(?:by|without)\b(?=\s*\())?/g
  for (let found = token.exec(plain); found !== null; found = token.exec(plain)) {
    const [, grouped, name, after = ''] = found
    if (grouped !== undefined) groupings.push(...grouped.split(',').map((one) => one.trim()))
    if (name === undefined || words.has(name)) continue
    if (/by|without/.test(after)) token.lastIndex -= after.trim().length
    if (after.endsWith('(') || /by|without/.test(after)) continue
    if (!after.endsWith('{')) {
      selectors.push({ metric: name, labels: [] })
      continue
    }
    const [inside = ''] = /^(?:[^"}]|"(?:[^"\\]|\\.)*")*/.exec(plain.slice(token.lastIndex)) ?? []
    selectors.push({ metric: name, labels: matchersIn(inside) })
    token.lastIndex += inside.length + 1
  }
  return { selectors, groupings: groupings.filter((one) => one !== '') }
}

function matchersIn(text: string): readonly string[] {
  const labels: string[] = []
  matcher.lastIndex = 0
  while (matcher.lastIndex < text.length) {
    const at = matcher.lastIndex
    const [, label] = matcher.exec(text) ?? []
    if (label === undefined) throw new Error(`not a matcher: ${text.slice(at)}`)
    labels.push(label)
  }
  return labels
}

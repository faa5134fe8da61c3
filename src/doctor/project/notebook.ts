/**
 * The code of a Jupyter notebook, each line where it stands in the file; blank lines for all else. Notebooks are written
 * with a line of code on a line of its own; one that is not has no code here.
 */
export function codeOfNotebook(text: string): string {
  let isCode = false
  let isSource = false
  return text
    .split('\n')
    .map((line) => {
      const cell = /^\s*"cell_type"\s*:\s*"(\w+)"/.exec(line)?.[1]
      if (cell !== undefined) isCode = cell === 'code'
      if (/^\s*"source"\s*:\s*\[\s*$/.test(line)) isSource = true
      else if (isSource && /^\s*\],?\s*$/.test(line)) isSource = false
      else if (isSource && isCode) return codeOfLine(line)
      return ''
    })
    .join('\n')
}

function codeOfLine(line: string): string {
  const quoted = line.trim().replace(/,$/, '')
  try {
    const code: unknown = JSON.parse(quoted)
    return typeof code === 'string' ? code.replaceAll(/\r?\n/g, '') : ''
  } catch {
    return ''
  }
}

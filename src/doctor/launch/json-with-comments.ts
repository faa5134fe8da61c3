import { readSource } from '../project/source-text.ts'

export type JsonObject = Readonly<Record<string, unknown>>

/** JSON as editors keep their settings: with comments, and with commas at the end. Undefined where it is not. */
export function readJsonWithComments(path: string, text: string): JsonObject | undefined {
  const source = readSource(path, 'javascript', text)
  const pieces: string[] = []
  let done = 0
  for (const { start, end } of source.literals) {
    pieces.push(source.bare.slice(done, start), source.text.slice(start, end))
    done = end
  }
  pieces.push(source.bare.slice(done))
  const plain = pieces
    .map((piece, index) => (index % 2 === 0 ? piece.replaceAll(/,(?=\s*[}\]])/g, ' ') : piece))
    .join('')
  try {
    const value: unknown = JSON.parse(plain)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as JsonObject)
      : undefined
  } catch {
    return undefined
  }
}

import { redactKeys } from '../../core/key-shape.ts'
import type { Secret } from '../../core/secret.ts'

/** Makes what the other side said fit to be shown. */
export type Shown = (text: string) => string

const shownMax = 80
/** A piece of this many characters is a piece of the key; fewer are chance. */
const pieceLength = 4

/**
 * Servers echo what they were sent, OpenAI among them: a text with a piece of the key in it is withheld whole. The
 * beginning that all keys of a kind share is no piece of one.
 */
export function shownWithout(secrets: readonly Secret[]): Shown {
  const pieces = new Set(secrets.flatMap(piecesOf))
  return (text) => {
    const line = redactKeys(text.slice(0, 10 * shownMax))
      .replaceAll(/[^\x21-\x7e]+/g, ' ')
      .trim()
      .slice(0, shownMax)
    for (let start = 0; start + pieceLength <= line.length; start += 1)
      if (pieces.has(line.slice(start, start + pieceLength))) return '[withheld]'
    return line
  }
}

function piecesOf(secret: Secret): readonly string[] {
  const own = secret
    .reveal()
    .replace(/^sk-(?:proj-|svcacct-|service-|admin-)?/, '')
    .split('T3BlbkFJ')
  return own.flatMap((part) =>
    Array.from({ length: Math.max(0, part.length - pieceLength + 1) }, (_, start) =>
      part.slice(start, start + pieceLength),
    ),
  )
}

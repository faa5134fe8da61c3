import { createInterface } from 'node:readline'
import type { Cancel } from '../core/ports.ts'
import type { Input } from './io.ts'
import { promptStream } from './output.ts'

/** The process's own standard input. */
export function processInput(): Input {
  const { stdin } = process
  return {
    get isTerminal() {
      return stdin.isTTY
    },
    readAll,
    ask,
    onKey,
  }
}

async function readAll(bytesMax: number): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of process.stdin) {
    const bytes = Buffer.from(chunk)
    size += bytes.length
    if (size > bytesMax) return undefined
    chunks.push(bytes)
  }
  return Buffer.concat(chunks).toString('utf8')
}

async function ask(
  question: string,
  options: { readonly isHidden?: boolean } = {},
): Promise<string | undefined> {
  const isHidden = options.isHidden === true
  // readline echoes what is typed to its output; a hidden answer gets one that swallows it.
  const output = promptStream(question, { isHidden })
  const lines = createInterface({ input: process.stdin, output, terminal: true })
  try {
    return await new Promise<string | undefined>((resolve) => {
      lines.once('line', resolve)
      lines.once('SIGINT', () => resolve(undefined))
      lines.once('close', () => resolve(undefined))
    })
  } finally {
    lines.close()
    if (isHidden) output.end()
  }
}

function onKey(callback: (key: string) => void): Cancel {
  const { stdin } = process
  const onData = (chunk: Buffer | string): void => {
    for (const key of chunk.toString()) callback(key)
  }
  stdin.setRawMode(true)
  stdin.on('data', onData)
  stdin.resume()
  return () => {
    stdin.off('data', onData)
    stdin.setRawMode(false)
    stdin.pause()
  }
}

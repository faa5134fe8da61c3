import type { ChildProcess } from 'node:child_process'

export interface LogLine {
  readonly message: string
  readonly phase?: string
  readonly [field: string]: unknown
}

/** Calls back with every whole line of both outputs of a process. */
export function readLines(child: ChildProcess, onText: (text: string) => void): void {
  for (const stream of [child.stdout, child.stderr]) {
    let rest = ''
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) onText(line)
    })
  }
}

/** A line of the service's structured log; undefined for what is none. */
export function parseLine(text: string): LogLine | undefined {
  if (!text.startsWith('{')) return undefined
  try {
    return JSON.parse(text) as LogLine
  } catch {
    return undefined
  }
}

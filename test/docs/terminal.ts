import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** A shell that commands are typed into, one after another, with a folder and an environment of its own. */
export interface Terminal {
  /** Types a line (and what it asks for), and resolves with all it printed once the prompt is back. */
  type(
    line: string,
    ...answers: readonly string[]
  ): Promise<{ readonly code: number; readonly output: string }>
  /** Resolves when this was printed, e.g. by what runs in the background. */
  seen(text: string): Promise<void>
  readonly output: () => string
  /** Ends the shell and what it started. */
  close(): Promise<void>
}

export function openTerminal(cwd: string, env: NodeJS.ProcessEnv): Terminal {
  const shell = spawn('bash', ['--noprofile', '--norc'], { cwd, env, detached: true })
  let text = ''
  let changed = (): void => undefined
  for (const stream of [shell.stdout, shell.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      changed()
    })
  const until = async <Found>(find: () => Found | null | undefined): Promise<Found> => {
    for (;;) {
      const found = find()
      if (found !== null && found !== undefined) return found
      await new Promise<void>((resolve) => {
        changed = resolve
      })
    }
  }
  // One pipe for both, or what a command said last on one of them might be read after the prompt on the other.
  shell.stdin.write('exec 2>&1\n')
  let count = 0
  return {
    async type(line, ...answers) {
      count += 1
      const from = text.length
      const prompt = `prompt-${count}`
      shell.stdin.write(`${[line, ...answers].join('\n')}\nprintf '\\n${prompt} %s\\n' "$?"\n`)
      const pattern = new RegExp(`\\n${prompt} (\\d+)\\n`)
      const match = await until(() => pattern.exec(text.slice(from)))
      return { code: Number(match[1]), output: text.slice(from, from + match.index) }
    },
    seen: async (wanted) => void (await until(() => (text.includes(wanted) ? true : undefined))),
    output: () => text,
    async close() {
      const isOver = once(shell, 'close')
      if (shell.pid !== undefined) process.kill(-shell.pid, 'SIGTERM')
      shell.stdin.end()
      await isOver
    },
  }
}

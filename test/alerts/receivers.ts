import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { Writable } from 'node:stream'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { onTestFinished } from 'vitest'
import { freePort } from '../free-port.ts'

export interface Taken {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** What the receiver does with the next ones; the last of them goes on for ever. */
export interface Behaviour {
  /** hang: it takes the request and never answers. A mail server has the same, with 451 in place of 5xx. */
  readonly status: number | 'hang'
  readonly retryAfter?: number | string
  /** Of HTTP. */
  readonly answer?: 'endless' | 'large' | 'cut' | 'redirect'
}

/** Somebody who is told: a real server on this machine, that can be slow, refuse and go away. */
export interface Receiver {
  readonly url: string
  readonly port: number
  /** All that arrived, whatever was answered. */
  readonly taken: Taken[]
  /** Of a mail server: who came with which password. */
  readonly logins: readonly string[]
  behave(...behaviours: readonly Behaviour[]): void
  /** Nobody listens any more. */
  leave(): Promise<void>
  back(): Promise<void>
}

const well: Behaviour = { status: 202 }

function scripted(): {
  readonly next: () => Behaviour
  readonly behave: (...all: readonly Behaviour[]) => void
} {
  let script: readonly Behaviour[] = [well]
  return {
    behave: (...all) => void (script = all.length === 0 ? [well] : all),
    next() {
      const [first = well, ...rest] = script
      if (rest.length > 0) script = rest
      return first
    },
  }
}

export async function httpReceiver(): Promise<Receiver> {
  const taken: Taken[] = []
  const logins: string[] = []
  const script = scripted()
  const listen = async (port: number): Promise<Server> => {
    const server = createServer((request, response) => {
      let body = ''
      request.setEncoding('utf8')
      request.on('data', (part: string) => (body += part))
      request.on('end', () => {
        taken.push({ path: request.url ?? '', headers: request.headers, body })
        const { status, retryAfter, answer } = script.next()
        if (status === 'hang') return
        if (retryAfter !== undefined) response.setHeader('retry-after', String(retryAfter))
        if (answer === 'redirect') response.setHeader('location', '/elsewhere')
        response.writeHead(status)
        const said = 'what the receiver says of it, with a canary'
        if (answer === 'cut') response.write(said, () => response.destroy())
        else if (answer === 'endless') endlessly(response, said)
        else response.end(answer === 'large' ? said.padEnd(10_000_000, '.') : said)
      })
    })
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    return server
  }
  // One that nobody else is given while this one is away.
  const port = await freePort()
  let server = await listen(port)
  const leave = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  onTestFinished(() => leave())
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    taken,
    logins,
    behave: script.behave,
    leave,
    async back() {
      server = await listen(port)
    },
  }
}

/** As fast as it is taken, until nobody takes it any more. */
function endlessly(stream: Writable, text: string): void {
  const part = text.padEnd(10_000, '.')
  const more = (): void => {
    if (stream.destroyed) return
    stream.write(part, () => setImmediate(more))
  }
  more()
}

/** Without TLS, unless it is given what it takes. */
export async function mailReceiver(change: SMTPServerOptions = {}): Promise<Receiver> {
  const taken: Taken[] = []
  const logins: string[] = []
  const script = scripted()
  const listen = async (port: number): Promise<SMTPServer> => {
    const server = new SMTPServer({
      authOptional: true,
      allowInsecureAuth: true,
      disabledCommands: ['STARTTLS'],
      onAuth: ({ username = '', password = '' }, _session, done) => {
        logins.push(`${username}:${password}`)
        done(null, { user: username })
      },
      onData(stream, _session, done) {
        let body = ''
        stream.setEncoding('utf8')
        stream.on('data', (part: string) => (body += part))
        stream.on('end', () => {
          const head = body.slice(0, body.indexOf('\r\n\r\n')).replaceAll(/\r\n\s+/g, ' ')
          const headers = Object.fromEntries(
            head
              .split('\r\n')
              .map((line) => [
                line.slice(0, line.indexOf(':')).toLowerCase(),
                line.slice(line.indexOf(':') + 2),
              ]),
          )
          taken.push({ path: '', headers, body })
          const { status } = script.next()
          if (status === 'hang') return
          if (status < 300) return done()
          const refusal: Error & { responseCode?: number } = new Error('said with a canary')
          refusal.responseCode = status === 404 ? 550 : 451
          done(refusal)
        })
      },
      ...change,
    })
    server.on('error', () => undefined)
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', () => resolve()))
    return server
  }
  const port = await freePort()
  let server = await listen(port)
  const leave = (): Promise<void> =>
    new Promise((resolve) => {
      for (const connection of server.connections) connection.close()
      server.close(() => resolve())
    })
  onTestFinished(() => leave())
  return {
    url: `smtp://127.0.0.1:${port}`,
    port,
    taken,
    logins,
    behave: script.behave,
    leave,
    async back() {
      server = await listen(port)
    },
  }
}

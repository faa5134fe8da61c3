// Whether the service of this container answers: exit code 0 or 1. For builders and runtimes that run a command; it needs no shell.
// Not whether a key can be handed out (/readyz): a service without one is to be looked at, not restarted.
import { readFileSync } from 'node:fs'
import { request as plain } from 'node:http'
import { request as encrypted } from 'node:https'

const timeoutMs = 2_500
const listen = process.env.KEYTURN_LISTEN ?? '127.0.0.1:7420'

/** Where it listens, as where it can be reached from here. */
function place() {
  if (listen.startsWith('unix:')) return { socketPath: listen.slice('unix:'.length) }
  const [, host, port] = /^(.*):(\d+)$/.exec(listen) ?? []
  const bare = (host ?? '').replace(/^\[|\]$/g, '')
  const everywhere = { '0.0.0.0': '127.0.0.1', '::': '::1' }
  return { host: everywhere[bare] ?? bare, port }
}

/** It sends no secret, so it need not know whom it asks: the certificate is for another name than this machine's. */
function tls() {
  const read = (name) => (process.env[name] ? readFileSync(process.env[name]) : undefined)
  return {
    rejectUnauthorized: false,
    cert: read('KEYTURN_CLIENT_CERT_FILE'),
    key: read('KEYTURN_CLIENT_KEY_FILE'),
  }
}

function ask(request, options) {
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(timeoutMs)
    const outgoing = request({ ...place(), ...options, path: '/healthz', signal }, (answer) => {
      answer.resume()
      resolve(answer.statusCode === 200)
    })
    outgoing.on('error', () => resolve(false))
    outgoing.end()
  })
}

const isAlive = (await ask(plain, {})) || (await ask(encrypted, tls()))
process.exitCode = isAlive ? 0 : 1

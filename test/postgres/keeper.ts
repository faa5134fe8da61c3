import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'

/**
 * Stands between a run of tests and its PostgreSQL: starts it as told by the first line, says `ready` when it answers,
 * and ends it with the signal of the second line, or when the line is cut because whoever asked is gone.
 */
interface Order {
  readonly command: string
  readonly args: readonly string[]
  readonly owner?: { readonly uid: number; readonly gid: number }
  readonly folder: string
  readonly port: number
}

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const order = JSON.parse(String((await lines.next()).value)) as Order
const server = spawn(order.command, order.args, {
  cwd: order.folder,
  stdio: ['ignore', 'ignore', 'inherit'],
  env: {},
  ...order.owner,
})
const exited = once(server, 'exit')
let isLeft = false
void exited.then(([code]) => {
  // Nobody else is there to take it away.
  if (isLeft) rmSync(order.folder, { recursive: true, force: true })
  process.exit(typeof code === 'number' ? code : 1)
})
await untilItAnswers(server, order.port)
process.stdout.write('ready\n')
const { value: signal, done: isCut } = await lines.next()
isLeft = isCut === true
server.kill(signal === 'SIGINT' ? 'SIGINT' : 'SIGQUIT')
await exited

/** A server that is still starting takes connections and refuses them; one that is ready asks who it is. */
async function untilItAnswers({ exitCode }: ChildProcess, port: number): Promise<void> {
  // A minute: one that has to recover on a busy disk takes its time.
  const triesMax = 2_400
  for (let tries = 0; tries < triesMax && exitCode === null; tries++) {
    if (await answers(port)) return
    await new Promise((resume) => void setTimeout(resume, 25))
  }
}

function answers(port: number): Promise<boolean> {
  const parameters = Buffer.from('user\0nobody\0database\0postgres\0\0')
  const head = Buffer.alloc(8)
  head.writeInt32BE(head.length + parameters.length, 0)
  head.writeInt32BE(3 << 16, 4)
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(Buffer.concat([head, parameters])))
    socket.once('data', (answer) => {
      socket.destroy()
      resolve(answer.toString('latin1', 0, 1) === 'R')
    })
    socket.once('error', () => resolve(false))
    socket.once('close', () => resolve(false))
  })
}

import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { closeServer, createFaults, failInstead, type HttpFaults, readBody } from './http-faults.ts'

interface Entry {
  readonly value: Buffer
  readonly flags: number
  readonly index: number
}

/**
 * The part of Consul's HTTP API that docs/own-store.md uses: entries read one by one, and transactions of one `cas`. As in
 * Consul, an entry that is written with what it has already keeps its index, an index of 0 means that there must be no
 * entry, and what may not be written is told with the status of a conflict (agent/consul/state/kvs.go, 2026-11-21).
 */
export interface ConsulFake extends HttpFaults {
  readonly address: string
  readonly token: string
  readonly entries: Map<string, Entry>
  /** Entries that the token may not write. */
  readonly denied: Set<string>
  close(): Promise<void>
}

export async function startConsulFake(): Promise<ConsulFake> {
  const token = ['a', 'token', 'of', 'consul'].join('-')
  const entries = new Map<string, Entry>()
  const denied = new Set<string>()
  const faults = createFaults()
  let last = 10

  const write = (body: string): Answer => {
    const [operation] = JSON.parse(body) as readonly [{ readonly KV: Cas }]
    const { Verb, Key, Value, Index, Flags } = operation.KV
    if (Verb !== 'cas') return { status: 400, text: `unknown verb ${Verb}` }
    if (denied.has(Key)) return failed('Permission denied')
    const known = entries.get(Key)
    if ((known?.index ?? 0) !== Index) return failed(`failed to set key "${Key}", index is stale`)
    const value = Buffer.from(Value, 'base64')
    if (value.length > valueBytesMax) return { status: 413, text: 'Value exceeds the limit' }
    const isSame = known !== undefined && known.flags === Flags && known.value.equals(value)
    if (!isSame) last += 1
    const written = isSame ? known : { value, flags: Flags, index: last }
    entries.set(Key, written)
    const kv = { Key, Flags, ModifyIndex: written.index, CreateIndex: 1, LockIndex: 0, Value: null }
    return { status: 200, text: JSON.stringify({ Results: [{ KV: kv }], Errors: null }) }
  }
  const read = (key: string): Answer => {
    const entry = entries.get(key)
    if (entry === undefined) return { status: 404, text: '' }
    const { value, flags, index } = entry
    const kv = {
      Key: key,
      Flags: flags,
      ModifyIndex: index,
      Value: value.length === 0 ? null : value.toString('base64'),
    }
    return { status: 200, text: JSON.stringify([kv]) }
  }
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await readBody(request)
    const { pathname } = new URL(request.url ?? '/', 'http://consul')
    const fault = faults.take(`${request.method} ${pathname}`)
    if (fault !== undefined && failInstead(fault, response, () => 'a fault')) return
    const { status, text } = carryOut(request, pathname, body)
    if (fault === 'broken') response.destroy()
    if (fault === undefined) response.writeHead(status, { 'content-type': 'application/json' }).end(text)
  }
  const carryOut = (request: IncomingMessage, pathname: string, body: string): Answer => {
    if (request.headers['x-consul-token'] !== token) return { status: 403, text: 'Permission denied' }
    if (request.method === 'PUT' && pathname === '/v1/txn') return write(body)
    if (request.method === 'GET' && pathname.startsWith('/v1/kv/'))
      return read(pathname.slice('/v1/kv/'.length))
    return { status: 405, text: 'method not allowed' }
  }
  const server = createServer((request, response) => void answer(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    ...faults,
    address: `http://127.0.0.1:${port}`,
    token,
    entries,
    denied,
    close: () => closeServer(server),
  }
}

interface Cas {
  readonly Verb: string
  readonly Key: string
  readonly Value: string
  readonly Index: number
  readonly Flags: number
}

interface Answer {
  readonly status: number
  readonly text: string
}

/** What kv_max_value_size has for its default. */
const valueBytesMax = 512 * 1024

function failed(what: string): Answer {
  return { status: 409, text: JSON.stringify({ Results: null, Errors: [{ OpIndex: 0, What: what }] }) }
}

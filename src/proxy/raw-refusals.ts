import type { Duplex } from 'node:stream'
import type { ProxyLimits } from './limits.ts'
import { type Refusal, rawRefusal } from './refusal.ts'
import * as say from './sentences.ts'

/** What the parser refuses never becomes a request; the answer is written by hand, unless one is under way already. */
export function refuseRaw(error: NodeJS.ErrnoException, socket: Duplex, limits: ProxyLimits): Refusal {
  const refusal = refusalOf(error, limits)
  const current: unknown = Reflect.get(socket, '_httpMessage')
  if (error.code === 'ECONNRESET' || !socket.writable || (current !== null && current !== undefined))
    socket.destroy()
  else endWith(socket, refusal)
  return refusal
}

/** Says it on the bare connection, which ends with it. */
export function endWith(socket: Duplex, refusal: Refusal): void {
  socket.on('error', () => socket.destroy())
  socket.end(rawRefusal(refusal), () => socket.destroy())
}

function refusalOf({ code }: NodeJS.ErrnoException, limits: ProxyLimits): Refusal {
  if (code === 'HPE_HEADER_OVERFLOW') return say.tooMuch('The head of the request', limits.headerBytesMax)
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return say.requestTooSlow
  return say.notHttp
}

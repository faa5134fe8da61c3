import { quietSend, quietSendBy } from '../client/quiet-send.ts'
import { sendByFiles } from '../client/tls-files.ts'
import type { Send } from '../client/wire.ts'
import type { Io } from './io.ts'
import type { Address } from './target.ts'

/** How what goes on for long reaches the service: by a socket file, or by HTTPS with what the files hold at each exchange. */
export function sendingTo(address: Address, { readFile }: Pick<Io, 'readFile'>): Send {
  if (address.kind === 'unix') return quietSendBy({ socketPath: address.path })
  if (address.tls === undefined) return quietSend
  return sendByFiles(address.tls.files, (path) => Promise.resolve(readFile(path) ?? absent(path)))
}

function absent(path: string): never {
  throw Object.assign(new Error(`${path} is not there`), { code: 'ENOENT' })
}

import type { Duplex } from 'node:stream'
import { KeyturnError } from '../core/errors.ts'
import type { ServerLimits } from './limits.ts'
import { problemStatus, type Refusal, rawProblem } from './problem.ts'

/** What the parser refuses never becomes a request; the answer is written by hand, unless one is under way already. */
export function refuseRaw(
  error: NodeJS.ErrnoException,
  socket: Duplex,
  limits: ServerLimits,
  requestId: string,
  onRefused: (code: string, status: number) => void,
): void {
  const current: unknown = Reflect.get(socket, '_httpMessage')
  if (error.code === 'ECONNRESET' || !socket.writable || (current !== null && current !== undefined)) {
    socket.destroy()
    return
  }
  const refusal = parserRefusal(error, limits)
  onRefused(refusal.error.code, problemStatus(refusal))
  socket.end(rawProblem(refusal, requestId), () => socket.destroy())
}

function parserRefusal(error: NodeJS.ErrnoException, limits: ServerLimits): Refusal {
  if (error.code === 'HPE_HEADER_OVERFLOW')
    return {
      error: new KeyturnError(
        'payload_too_large',
        `The headers are larger than ${limits.headerBytesMax} bytes.`,
        {
          fix: 'Send fewer or shorter headers.',
        },
      ),
      status: 431,
    }
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return {
      error: new KeyturnError('timeout', 'The request did not arrive in time.', {
        fix: 'Send the whole request at once.',
        retryable: true,
      }),
      status: 408,
    }
  return {
    error: new KeyturnError('bad_request', 'This is not an HTTP request that Keyturn understands.', {
      fix: 'Speak HTTP/1.1, without TLS on this port.',
    }),
    status: 400,
  }
}

export function expectationRefusal(): Refusal {
  return {
    error: new KeyturnError('bad_request', 'The header Expect asks for what Keyturn does not know.', {
      fix: 'Leave Expect out, or send 100-continue.',
    }),
    status: 417,
  }
}

import type { ServerResponse } from 'node:http'

/**
 * Lets go of a connection on which nothing moves while something of an answer is left to take. `server.timeout` would do
 * it for all, and cost every hand-out two timers more; where the answer is out at once there is nothing to wait for, and
 * the time until the next request is Node's `keepAliveTimeout`, which takes this one's place.
 */
export function endSilence(response: ServerResponse, silenceMs: number): void {
  if (!response.writableFinished) response.req.socket.setTimeout(silenceMs)
}

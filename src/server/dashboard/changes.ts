import type { ServerResponse } from 'node:http'
import type { Cancel, System } from '../../core/ports.ts'
import type { CredentialEvent } from '../../core/types.ts'
import type { Service } from '../../engine/service.ts'
import type { Authenticator } from '../auth/authenticator.ts'
import type { Caller } from '../auth/caller.ts'
import { every } from '../ticker.ts'

/** Tells open pages that something changed, and not what: they ask for themselves anew. */
export interface Changes {
  /** False where too many are open. `isLive`: whether the session still counts. */
  open(request: ChangesRequest): boolean
  /** Ends those whose session no longer counts. */
  dismiss(): void
  readonly count: number
  close(): void
}

export interface ChangesRequest {
  readonly response: ServerResponse
  readonly caller: Caller
  /** Whether the page is of this credential, and may be. */
  readonly isOf: (credential: string) => boolean
  readonly isLive: () => boolean
}

interface Listener extends ChangesRequest {
  isDue: boolean
}

const listenersMax = 200
const perCallerMax = 20
/** A busy minute makes no more requests than this allows: a rotation of a thousand keys is one change, again and again. */
const gatherMs = 500
const heartbeatMs = 15_000

export function createChanges(options: {
  readonly service: Pick<Service, 'onEvent'>
  readonly auth: Pick<Authenticator, 'onChange'>
  readonly system: System
}): Changes {
  const { service, auth, system } = options
  const listeners = new Set<Listener>()
  let cancelTelling: Cancel | undefined

  const end = (listener: Listener): void => {
    listeners.delete(listener)
    listener.response.end('event: ended\ndata: {}\n\n')
  }
  const dismiss = (): void => {
    for (const listener of listeners) if (!listener.isLive()) end(listener)
  }
  const tell = (): void => {
    cancelTelling = undefined
    dismiss()
    for (const listener of listeners) {
      if (!listener.isDue) continue
      listener.isDue = false
      listener.response.write('event: changed\ndata: {}\n\n')
    }
  }
  const note = ({ credential }: CredentialEvent): void => {
    for (const listener of listeners) if (listener.isOf(credential)) listener.isDue = true
    cancelTelling ??= system.after(gatherMs, tell, { background: true })
  }
  const beat = (): void => {
    dismiss()
    for (const { response } of listeners) response.write(': still here\n\n')
  }
  const cancels = [service.onEvent(note), auth.onChange(dismiss), every(system, heartbeatMs, beat)]

  return {
    open(request) {
      const ofCaller = [...listeners].filter(({ caller }) => caller.id === request.caller.id).length
      if (listeners.size >= listenersMax || ofCaller >= perCallerMax) return false
      const listener: Listener = { ...request, isDue: false }
      listeners.add(listener)
      const { response } = request
      response.on('close', () => listeners.delete(listener))
      response.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
        'x-content-type-options': 'nosniff',
      })
      response.write('retry: 2000\n\n')
      return true
    },
    dismiss,
    get count() {
      return listeners.size
    },
    close() {
      cancelTelling?.()
      for (const cancel of cancels) cancel()
      for (const { response } of listeners) response.end()
      listeners.clear()
    },
  }
}

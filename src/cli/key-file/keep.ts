import { orAborted } from '../../client/deadline.ts'
import type { OpenAICredential } from '../../client/types.ts'
import type { KeyturnError } from '../../core/errors.ts'
import type { Cancel } from '../../core/ports.ts'
import type { Supply } from '../supply.ts'
import { contentsOf, type Shape, withoutKey } from './contents.ts'
import type { KeyFile } from './key-file.ts'

export interface KeepOptions {
  readonly supply: Pick<Supply, 'client' | 'onChange' | 'use'>
  readonly file: KeyFile
  readonly shape: Shape
  /** Throws where the place is not one for a key. */
  readonly look: () => void
  /** What follows a change, where anything does. */
  readonly hook: ((credential: OpenAICredential) => Promise<void>) | undefined
  readonly asError: (thrown: unknown) => KeyturnError
  readonly tell: (event: Told) => void
}

export type Told =
  | { readonly kind: 'current' | 'written' | 'restored'; readonly credential: OpenAICredential }
  | { readonly kind: 'hook-done'; readonly credential: OpenAICredential }
  | { readonly kind: 'trouble'; readonly error: KeyturnError }

export interface KeepGoing extends KeepOptions {
  readonly after: (delayMs: number, callback: () => void) => Cancel
  /** Ends it. */
  readonly signal: AbortSignal
  readonly isRemovedAtEnd: boolean
}

/** What is in the file before it is written is the key of some run before: none may end that is not yet replaced. */
const anyGeneration = 0
const backoffBaseMs = 1_000
const backoffMaxMs = 60_000
/** How soon it is seen that somebody else has changed the file, and how seldom it is looked at where they keep doing that. */
const lookMs = 10_000
const lookMaxMs = 600_000

/** Writes the current key, and does what follows a change. True where the file was changed. */
export async function writeOnce(
  options: KeepOptions,
): Promise<{ credential: OpenAICredential; isChanged: boolean }> {
  const { supply } = options
  const release = supply.use(anyGeneration)
  const credential = await supply.client.getOpenAICredential()
  const isChanged = put(options, credential)
  await followUp(options, credential)
  supply.use(credential.generation)
  release()
  return { credential, isChanged }
}

/** Keeps the current key in the file until it is ended, through every trouble that can pass. Rejects where the first one cannot. */
export async function keepGoing(options: KeepGoing): Promise<void> {
  const { supply, signal, tell } = options
  let release = supply.use(anyGeneration)
  let written: OpenAICredential | undefined
  let failures = 0
  let restored = 0
  const told = new Set<string>()
  while (!signal.aborted) {
    let waitMs: number
    try {
      const credential = await current(options)
      if (credential === undefined) break
      const isSame = written?.generation === credential.generation
      if (put(options, credential)) {
        tell({ kind: isSame ? 'restored' : 'written', credential })
        restored = isSame ? restored + 1 : 0
      } else {
        if (written === undefined) tell({ kind: 'current', credential })
        restored = 0
      }
      written = credential
      await followUp(options, credential)
      // Whoever reads the file has the new key from here on, and the old one may go.
      const before = release
      release = supply.use(credential.generation)
      before()
      told.clear()
      failures = 0
      waitMs = Math.min(lookMaxMs, lookMs * 2 ** restored)
    } catch (thrown) {
      const error = options.asError(thrown)
      // Before there was any key, what does not pass by itself is wrong in what was typed.
      if (written === undefined && !error.retryable && error.code !== 'file_unusable') throw error
      if (!told.has(error.message)) tell({ kind: 'trouble', error })
      told.add(error.message)
      waitMs = Math.min(backoffMaxMs, backoffBaseMs * 2 ** failures)
      failures += 1
    }
    await changeOr(options, waitMs)
  }
  if (options.isRemovedAtEnd && written !== undefined) takeOut(options, written)
}

/** Undefined where it was ended meanwhile. */
async function current({ supply, signal }: KeepGoing): Promise<OpenAICredential | undefined> {
  try {
    return await orAborted(supply.client.getOpenAICredential(), signal)
  } catch (error) {
    if (signal.aborted) return undefined
    throw error
  }
}

function put({ look, file, shape }: KeepOptions, credential: OpenAICredential): boolean {
  look()
  return file.change((before) => contentsOf(credential, before, shape))
}

/** Also where a change was made by somebody who was killed before this. */
async function followUp({ hook, file, tell }: KeepOptions, credential: OpenAICredential): Promise<void> {
  if (!file.isPending()) return
  if (hook !== undefined) {
    await hook(credential)
    tell({ kind: 'hook-done', credential })
  }
  file.settle()
}

function takeOut({ file, shape }: KeepOptions, credential: OpenAICredential): void {
  file.change((before) => {
    // What somebody else has put there is theirs.
    const isOwn = before !== undefined && before === contentsOf(credential, before, shape)
    return isOwn ? withoutKey(credential, before, shape) : before
  })
  file.settle()
}

function changeOr({ supply, after, signal }: KeepGoing, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stop()
      cancel()
      signal.removeEventListener('abort', done)
      resolve()
    }
    const stop = supply.onChange(done)
    const cancel = after(delayMs, done)
    signal.addEventListener('abort', done, { once: true })
    if (signal.aborted) done()
  })
}

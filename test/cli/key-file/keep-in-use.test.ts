import { expect, it } from 'vitest'
import { type KeepOptions, keepGoing, writeOnce } from '../../../src/cli/key-file/keep.ts'
import { asKeyturnError } from '../../../src/cli/supply.ts'
import { createInFlight } from '../../../src/client/in-flight.ts'
import type { OpenAICredential } from '../../../src/client/types.ts'
import { credentialOf } from '../credential.ts'

/** A file, and a service that hears which generation may still be in it. */
function rig(credential: OpenAICredential) {
  const requests = createInFlight(() => undefined)
  let text: string | undefined
  const heard: unknown[] = []
  const hear = () => heard.push(requests.oldest())
  const options: KeepOptions = {
    supply: {
      client: {
        getOpenAICredential: async () => {
          hear()
          return credential
        },
      } as KeepOptions['supply']['client'],
      onChange: () => () => undefined,
      use: (generation) => requests.enter(generation),
    },
    file: {
      path: '/run/app/openai.key',
      read: () => text,
      change(next) {
        hear()
        const [before, after] = [text, next(text)]
        text = after
        return before !== after
      },
      isPending: () => true,
      settle: () => undefined,
      tryOut: () => undefined,
      cleanUp: () => 0,
    },
    shape: { format: 'raw', variable: 'OPENAI_API_KEY' },
    look: () => undefined,
    hook: async () => void hear(),
    asError: asKeyturnError,
    tell: () => undefined,
  }
  return { options, heard, oldest: () => requests.oldest() }
}

it('an old key counts as used until the file is written and the hook has succeeded, from the first question on', async () => {
  const { options, heard, oldest } = rig(credentialOf({ generation: 5 }))
  await writeOnce(options)
  expect(heard).toEqual([0, 0, 0])
  expect(oldest()).toBe(5)
})

it('does so too where the file is kept, and what is in it counts as used beyond the end', async () => {
  const { options, heard, oldest } = rig(credentialOf({ generation: 5 }))
  const end = new AbortController()
  const { signal } = end
  const going = { ...options, after: () => () => undefined, signal, isRemovedAtEnd: false }
  await keepGoing({
    ...going,
    tell: ({ kind }) => {
      if (kind === 'hook-done') end.abort()
    },
  })
  expect(heard).toEqual([0, 0, 0])
  expect(oldest()).toBe(5)
})

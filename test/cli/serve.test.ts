import { describe, expect, it } from 'vitest'
import type { ServeOptions } from '../../src/cli/io.ts'
import { run } from '../../src/cli/main.ts'
import { fakeIo } from './fake-io.ts'
import { canary, summaryOf } from './samples.ts'

function serving(
  env: Readonly<Record<string, string>>,
  files: Readonly<Record<string, string>> = {},
  ready: Promise<boolean> = Promise.resolve(true),
) {
  const calls: ServeOptions[] = []
  let stopped = 0
  let release = (): void => undefined
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  let isAsked = (): void => undefined
  const asked = new Promise<void>((resolve) => {
    isAsked = resolve
  })
  const io = fakeIo({
    env,
    files,
    main: {
      serve: async (options) => {
        calls.push(options)
        return {
          url: 'http://127.0.0.1:7420',
          home: '/srv/app/.keyturn',
          sandboxUrl: 'http://127.0.0.1:7421',
          readyWithin: () => {
            isAsked()
            return ready
          },
          stop: async () => {
            stopped += 1
            await held
          },
        }
      },
      tick: async () => ({ credentials: [summaryOf('openai')] }),
    },
  })
  return { io, calls, asked, stopped: () => stopped, release: () => release() }
}

describe('serve', () => {
  it('labels the sandbox, says that OPENAI_API_KEY is ignored, and what to type next', async () => {
    const { io, calls, release } = serving({ OPENAI_API_KEY: canary })
    const ended = run(['serve', '--sandbox'], io)
    await io.seen('rotate openai --wait')
    expect(calls[0]).toMatchObject({ sandbox: true })
    expect(calls[0]).not.toHaveProperty('config')
    expect(io.out()).toMatch(/^SANDBOX {2}/)
    expect(io.out()).toMatch(/OPENAI_API_KEY is set and ignored/)
    expect(io.out()).toContain(
      'curl -H "Authorization: Bearer $(cat .keyturn/app.token)" http://127.0.0.1:7420/v1/credentials/openai',
    )
    expect(io.out() + io.err()).not.toContain(canary)
    release()
    io.signal('SIGTERM')
    expect(await ended).toBe(0)
  })

  it('says to another terminal where it is, where that is not the default', async () => {
    const { io, release } = serving({ KEYTURN_LISTEN: '127.0.0.1:7500', KEYTURN_HOME: '/srv/app/my home' })
    const ended = run(['serve', '--sandbox'], io)
    await io.seen('rotate openai --wait')
    expect(io.out()).toContain(
      "  KEYTURN_HOME='/srv/app/my home' KEYTURN_LISTEN=127.0.0.1:7500 npx keyturn rotate openai --wait\n",
    )
    release()
    io.signal('SIGTERM')
    expect(await ended).toBe(0)
  })

  it('greets nobody who ended it before the first key was there', async () => {
    const { io, asked, release } = serving({ OPENAI_API_KEY: canary }, {}, new Promise(() => undefined))
    const ended = run(['serve'], io)
    await asked
    release()
    io.signal('SIGINT')
    expect(await ended).toBe(0)
    expect(io.out()).toBe('')
  })

  it('stops once at the first signal and ends at once at the second', async () => {
    const { io, stopped, release } = serving({ OPENAI_API_KEY: canary })
    const ended = run(['serve'], io)
    await io.seen('Keyturn serves openai at http://127.0.0.1:7420')
    io.signal('SIGINT')
    io.signal('SIGINT')
    expect(io.exits).toEqual([130])
    release()
    expect(await ended).toBe(0)
    expect(stopped()).toBe(1)
  })

  it('refuses to start without a configuration, and says how to begin', async () => {
    const { io, calls } = serving({})
    expect(await run(['serve'], io)).toBe(1)
    expect(calls).toEqual([])
    expect(io.err()).toMatch(/keyturn init[\s\S]*npm start/)
  })

  it('refuses a broken configuration with its line', async () => {
    const { io } = serving({}, { '/srv/app/keyturn.yaml': 'credentials:\n  openai:\n    stor: x\n' })
    expect(await run(['serve'], io)).toBe(1)
    expect(io.err()).toMatch(/keyturn\.yaml:3:5:.*Did you mean 'store'\?/)
  })

  it('tick shows what it left behind', async () => {
    const { io } = serving({ OPENAI_API_KEY: canary })
    expect(await run(['tick', '--json'], io)).toBe(0)
    expect(JSON.parse(io.out())).toMatchObject({ items: [{ name: 'openai' }] })
  })
})

describe('sandbox', () => {
  it('prints where it is and leaves its keys in private files, not on the screen', async () => {
    const io = fakeIo()
    const ended = run(['sandbox', '--listen', '127.0.0.1:0', '--json'], io)
    await io.seen('"baseUrl"')
    const shown: unknown = JSON.parse(io.out())
    expect(shown).toMatchObject({ adminKeyFile: '/srv/app/.keyturn/sandbox.admin-key' })
    const adminKey = io.files.get('/srv/app/.keyturn/sandbox.admin-key')?.trim() ?? ''
    expect(adminKey).toMatch(/^sk-admin-/)
    expect(io.out() + io.err()).not.toContain(adminKey)
    io.signal('SIGINT')
    expect(await ended).toBe(0)
  })
})

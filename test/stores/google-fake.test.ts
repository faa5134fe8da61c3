import { SecretManagerServiceClient } from '@google-cloud/secret-manager'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadGoogleSdk } from '../../src/stores/google-client.ts'
import { crc32c } from '../../src/stores/google-crc32c.ts'
import { type GoogleFake, startGoogleFake } from './fakes/google-fake.ts'
import { startGoogleGrpcFake } from './fakes/google-fake-grpc.ts'
import { patientMs } from './fakes/system.ts'

/** What Google refuses, refused over both wires, as the real SDK hears of it. */
for (const transport of ['rest', 'grpc'] as const)
  describe(`the fake of Secret Manager over ${transport}`, () => {
    const parent = 'projects/team-1'
    const name = `${parent}/secrets/one`
    const once = { timeout: patientMs, retry: null } as const
    let fake: GoogleFake
    let client: SecretManagerServiceClient

    beforeAll(async () => {
      fake = await (transport === 'rest' ? startGoogleFake() : startGoogleGrpcFake())
      const { port } = new URL(fake.endpoint)
      client = new SecretManagerServiceClient({
        apiEndpoint: '127.0.0.1',
        port: Number(port),
        protocol: 'http',
        projectId: 'team-1',
        ...(transport === 'rest' ? { fallback: true } : {}),
        ...(await loadGoogleSdk()).withoutCredentials(transport),
      })
      fake.put('one', 'first')
    })
    afterAll(async () => {
      await client.close()
      await fake.close()
    })

    const codeOf = (call: Promise<unknown>): Promise<unknown> =>
      call.then(
        () => 'done',
        (thrown: { readonly code?: number }) => thrown.code,
      )
    const update = (secret: object, paths: readonly string[]): Promise<unknown> =>
      codeOf(client.updateSecret({ secret: { name, ...secret }, updateMask: { paths: [...paths] } }, once))
    const add = (data: Buffer, dataCrc32c: string): Promise<unknown> =>
      codeOf(client.addSecretVersion({ parent: name, payload: { data, dataCrc32c } }, once))
    const access = (version: string | number): Promise<unknown> =>
      codeOf(client.accessSecretVersion({ name: `${name}/versions/${version}` }, once))

    it('takes an update under the etag that is there, which it changes, and no other', async () => {
      const { etag } = (await client.getSecret({ name }, once))[0]
      expect(etag).toMatch(/^".+"$/)
      expect(await update({ etag, annotations: { a: 'b' } }, ['annotations'])).toBe('done')
      expect(await update({ etag, annotations: {} }, ['annotations'])).toBe(9)
      const now = (await client.getSecret({ name }, once))[0]
      expect(now.etag).not.toBe(etag)
      expect(await update({ etag: now.etag, annotations: { a: 'b' } }, ['annotations'])).toBe('done')
      expect((await client.getSecret({ name }, once))[0].etag).not.toBe(now.etag)
    })

    it('leaves the etag of the secret alone when a version is added', async () => {
      const before = fake.secret('one')?.etag
      expect(await add(Buffer.from('x'), String(crc32c(Buffer.from('x'))))).toBe('done')
      expect(fake.secret('one')?.etag).toBe(before)
    })

    it('refuses an update without a mask, and of what cannot be changed', async () => {
      expect(await update({}, [])).toBe(3)
      expect(await update({}, ['replication'])).toBe(3)
    })

    it('refuses annotations of 16 KiB and such with a bad name', async () => {
      const bytes = 16 * 1024 - 'key'.length
      expect(await update({ annotations: { key: 'x'.repeat(bytes - 1) } }, ['annotations'])).toBe('done')
      expect(await update({ annotations: { key: 'x'.repeat(bytes) } }, ['annotations'])).toBe(3)
      expect(await update({ annotations: { 'a/b': 'x' } }, ['annotations'])).toBe(3)
      expect(await update({ annotations: { '-a': 'x' } }, ['annotations'])).toBe(3)
    })

    it('refuses aliases by other names than it takes, more than 50, and to a version that is not there', async () => {
      const aliases = (versionAliases: Readonly<Record<string, number>>): Promise<unknown> =>
        update({ versionAliases }, ['version_aliases'])
      for (const alias of ['latest', 'NEW', '1st', 'a.b']) expect(await aliases({ [alias]: 1 })).toBe(3)
      const many = Object.fromEntries(Array.from({ length: 51 }, (_, index) => [`a${index}`, 1]))
      expect(await aliases(many)).toBe(3)
      expect(await aliases({ live: 99 })).toBe(9)
      expect(await aliases({ live: 1 })).toBe('done')
      expect(await access('live')).toBe('done')
      // The mask replaces the whole map.
      expect(await aliases({ other: 1 })).toBe('done')
      expect(await access('live')).toBe(5)
    })

    it('refuses a payload over 64 KiB, an empty one, and one with another checksum', async () => {
      const most = Buffer.alloc(65_536, 'x')
      expect(await add(most, String(crc32c(most)))).toBe('done')
      const more = Buffer.alloc(65_537, 'x')
      expect(await add(more, String(crc32c(more)))).toBe(3)
      expect(await add(Buffer.alloc(0), '0')).toBe(3)
      expect(await add(Buffer.from('x'), '1')).toBe(3)
    })

    it('numbers versions from 1 on, lists the newest first, and tells the checksum of what it gives', async () => {
      const data = Buffer.from('ünï')
      await add(data, String(crc32c(data)))
      const [versions] = await client.listSecretVersions(
        { parent: name, pageSize: 2 },
        { ...once, autoPaginate: false },
      )
      const count = fake.secret('one')?.versions.length ?? 0
      expect(versions.map((each) => each.name)).toEqual([
        `${name}/versions/${count}`,
        `${name}/versions/${count - 1}`,
      ])
      const [{ payload }] = await client.accessSecretVersion({ name: `${name}/versions/latest` }, once)
      expect([Buffer.from(payload?.data ?? '').toString(), String(payload?.dataCrc32c)]).toEqual([
        'ünï',
        String(crc32c(data)),
      ])
    })

    it('gives the newest version as latest also where it is disabled, and destroys once', async () => {
      const version = fake.put('one', 'last')
      const full = `${name}/versions/${version.number}`
      version.state = 'DISABLED'
      expect(await access('latest')).toBe(9)
      expect(await access(version.number - 1)).toBe('done')
      expect(await codeOf(client.destroySecretVersion({ name: full, etag: '"other"' }, once))).toBe(9)
      expect(await codeOf(client.destroySecretVersion({ name: full }, once))).toBe('done')
      expect(await codeOf(client.destroySecretVersion({ name: full }, once))).toBe(9)
      expect(await access(version.number)).toBe(9)
    })

    it('disables instead, where destruction is delayed', async () => {
      fake.make('delayed', { versionDestroyTtl: 86_400_000 })
      fake.put('delayed', 'value')
      const full = `${parent}/secrets/delayed/versions/1`
      expect(await codeOf(client.destroySecretVersion({ name: full }, once))).toBe('done')
      expect(fake.secret('delayed')?.versions[0]?.state).toBe('DISABLED')
    })

    it('makes a secret once, with a replication policy, or in a location without one', async () => {
      const make = (secretId: string, secret: object, where = parent): Promise<unknown> =>
        codeOf(client.createSecret({ parent: where, secretId, secret }, once))
      const replication = { automatic: {} }
      expect(await make('two', {})).toBe(3)
      expect(await make('t.w.o', { replication })).toBe(3)
      expect(await make('two', { replication, labels: { Big: 'x' } })).toBe(3)
      expect(await make('two', { replication })).toBe('done')
      expect(await make('two', { replication })).toBe(6)
      expect(await make('two', { replication }, `${parent}/locations/europe-west3`)).toBe(3)
      expect(await make('two', {}, `${parent}/locations/europe-west3`)).toBe('done')
    })

    it('tells what is not there from what may not be seen', async () => {
      expect(await codeOf(client.getSecret({ name: `${parent}/secrets/nowhere` }, once))).toBe(5)
      expect(await access(9_999)).toBe(5)
      expect(await codeOf(client.getSecret({ name: 'projects/other/secrets/one' }, once))).toBe(7)
      fake.deny('secretmanager.secrets.get', 'secretmanager.versions.access two')
      expect(await codeOf(client.getSecret({ name }, once))).toBe(7)
      const permissions = ['secretmanager.secrets.get', 'secretmanager.versions.add']
      const test = (resource: string): Promise<readonly unknown[]> =>
        client.testIamPermissions({ resource, permissions }, once)
      expect((await test(name))[0]).toMatchObject({ permissions: ['secretmanager.versions.add'] })
      expect((await test(`${parent}/secrets/nowhere`))[0]).toMatchObject({ permissions: [] })
      fake.deny()
    })

    it('refuses whoever brings no token, where it is told to', async () => {
      fake.needsToken = true
      expect(await codeOf(client.getSecret({ name }, once))).toBe(16)
      fake.needsToken = false
    })
  })

import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createSigner } from '../../src/audit/signing-key.ts'
import type { Signer } from '../../src/core/ports.ts'

function home(): { readonly folder: string; readonly privateFile: string; readonly publicFile: string } {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-audit-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return {
    folder,
    privateFile: join(folder, 'signing-key.pem'),
    publicFile: join(folder, 'signing-key.pub'),
  }
}

const signedBy = async (signer: Signer) => signer.sign('{}', 'test')

describe('the signing key', () => {
  it('is made when it is first needed, for this user alone, and stays the same', async () => {
    const files = home()
    const signer = createSigner(files)
    expect(readdirSync(files.folder)).toEqual([])
    const key = await signer.publicKey()
    expect(readdirSync(files.folder).sort()).toEqual(['signing-key.pem', 'signing-key.pub'])
    expect(statSync(files.privateFile).mode & 0o777).toBe(0o600)
    expect(readFileSync(files.publicFile, 'utf8')).toBe(key.pem)
    expect(await createSigner(files).publicKey()).toEqual(key)
    expect(await signedBy(createSigner(files))).toEqual(await signedBy(signer))
  })

  it('is told by its public half only', async () => {
    const files = home()
    const key = await createSigner(files).publicKey()
    expect(Object.keys(key.jwk).sort()).toEqual(['crv', 'kty', 'x'])
    expect(createPublicKey(key.pem).asymmetricKeyType).toBe('ed25519')
    const secret = readFileSync(files.privateFile, 'utf8').split('\n')[1] ?? ''
    expect(secret.length).toBeGreaterThan(40)
    const signed = JSON.stringify(await signedBy(createSigner(files)))
    expect(JSON.stringify(key) + signed + readFileSync(files.publicFile, 'utf8')).not.toContain(secret)
  })

  it('is one where several processes make it at once', async () => {
    const files = home()
    const keys = await Promise.all(Array.from({ length: 5 }, () => createSigner(files).publicKey()))
    expect(new Set(keys.map(({ keyId }) => keyId)).size).toBe(1)
    expect(readdirSync(files.folder)).toHaveLength(2)
  })

  it('is tightened where others could read it', async () => {
    const files = home()
    await createSigner(files).publicKey()
    chmodSync(files.privateFile, 0o644)
    await createSigner(files).publicKey()
    expect(statSync(files.privateFile).mode & 0o777).toBe(0o600)
  })

  it('has its public half put back where that is gone or another one', async () => {
    const files = home()
    const key = await createSigner(files).publicKey()
    for (const spoil of [() => rmSync(files.publicFile), () => writeFileSync(files.publicFile, 'another')]) {
      spoil()
      await createSigner(files).publicKey()
      expect(readFileSync(files.publicFile, 'utf8')).toBe(key.pem)
    }
  })

  it.each([
    ['is damaged', 'rubbish'],
    ['is empty', ''],
    [
      'is of another kind',
      String(
        generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
          type: 'pkcs8',
          format: 'pem',
        }),
      ),
    ],
  ])('that %s is refused and left as it is', async (_what, text) => {
    const files = home()
    writeFileSync(files.privateFile, text, { mode: 0o600 })
    const signer = createSigner(files)
    for (const asked of [signer.publicKey(), signedBy(signer)])
      await expect(asked).rejects.toMatchObject({
        code: 'file_unusable',
        message: expect.stringContaining(files.privateFile),
        fix: expect.stringContaining('backup'),
      })
    expect(readFileSync(files.privateFile, 'utf8')).toBe(text)
  })

  it('that cannot be written is a clear error, and the next try may succeed', async () => {
    const files = home()
    const folder = join(files.folder, 'not', 'there')
    const signer = createSigner({
      privateFile: join(folder, 'signing-key.pem'),
      publicFile: join(folder, 'signing-key.pub'),
    })
    await expect(signer.publicKey()).rejects.toMatchObject({
      code: 'file_unusable',
      message: expect.stringContaining('ENOENT'),
    })
  })
})

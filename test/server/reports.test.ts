import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { SignedReport, SigningKeyAnswer } from '../../src/api/types.ts'
import { readPublicKey, verifyReport } from '../../src/audit/verify-report.ts'
import { bearer, type Harness, problemOf, startServer } from './harness.ts'

const path = '/v1/credentials/openai'
const reportPath = `${path}/rotations/rotation-1/report`

async function turned(): Promise<Harness> {
  const harness = await startServer()
  await harness.send('POST', `${path}/rotations`, { reason: 'quarterly' })
  return harness
}

describe('the report of a rotation', () => {
  it('is a document that the public key of the service verifies', async () => {
    const harness = await turned()
    const response = await harness.send('GET', reportPath)
    expect([response.status, response.headers.get('content-type')]).toEqual([
      200,
      'application/json; charset=utf-8',
    ])
    const document = (await response.json()) as SignedReport
    // An auditor has no token.
    const told = await fetch(`${harness.url}/v1/signing-key`)
    const key = (await told.json()) as SigningKeyAnswer
    const jwk = readPublicKey(key.pem)
    if (jwk === undefined) throw new Error('the service tells a public key')
    expect(jwk).toEqual(key.jwk)
    expect(verifyReport(JSON.stringify(document), { kind: 'key', jwk })).toMatchObject({
      kind: 'valid',
      keyId: key.keyId,
      report: { credential: 'openai', summary: 'openai: quarterly by ops.' },
    })
  })

  it('is text for whoever asks for text, which says that it is not signed', async () => {
    const harness = await turned()
    const response = await harness.send('GET', reportPath, undefined, { accept: 'text/plain' })
    expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    const text = await response.text()
    expect(text).toContain('openai: quarterly by ops.')
    expect(text).toContain('This text is not signed.')
  })

  it('is for operators', async () => {
    const harness = await turned()
    for (const of of [reportPath, `${path}/versions/v/report`]) {
      expect((await harness.get(of, bearer(harness.app))).status).toBe(403)
      expect((await fetch(harness.url + of)).status).toBe(401)
    }
  })

  it('of none that is known is not found', async () => {
    const harness = await turned()
    for (const of of [
      `${path}/rotations/nobody/report`,
      `${path}/rotations/%20/report`,
      `${path}/versions/v/report`,
    ]) {
      const response = await harness.send('GET', of)
      expect([response.status, (await problemOf(response)).code]).toEqual([404, 'not_found'])
    }
  })

  it('is refused where the signing key is damaged, and everything else goes on', async () => {
    const harness = await turned()
    writeFileSync(join(harness.folder, 'signing-key.pem'), 'rubbish', { mode: 0o600 })
    const response = await harness.send('GET', reportPath)
    expect([response.status, (await problemOf(response)).code]).toEqual([500, 'file_unusable'])
    expect((await harness.get(path)).status).toBe(200)
  })
})

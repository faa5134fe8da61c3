import { type AddressInfo, createServer } from 'node:net'
import { setDefaultCACertificates } from 'node:tls'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { openEmail } from '../../src/alerts/email.ts'
import type { DeliveryOutcome } from '../../src/core/alert-deliveries.ts'
import { testNotice } from '../../src/core/alert-notice.ts'
import { Secret } from '../../src/core/secret.ts'
import { type Certificate, makeCertificate } from '../stores/fakes/certificate.ts'
import { canary, contextOf, patientMs } from './drivers.ts'
import { mailReceiver, type Receiver } from './receivers.ts'

const commonName = 'An authority of the company'
let authority: Certificate & { readonly commonName: string }

// As NODE_EXTRA_CA_CERTS does it for a process.
beforeAll(() => {
  authority = { ...makeCertificate(commonName), commonName }
  setDefaultCACertificates([authority.cert])
})

const own = (): Certificate => makeCertificate('mail.example.com', { authority })
const implicit = ({ cert, key }: Certificate) => mailReceiver({ secure: true, cert, key })
const startTls = ({ cert, key }: Certificate) =>
  mailReceiver({ disabledCommands: [], cert, key, allowInsecureAuth: false })

async function send(
  port: number,
  tls: 'implicit' | 'starttls',
  timeoutMs = patientMs,
): Promise<DeliveryOutcome> {
  const channel = openEmail(
    {
      kind: 'email',
      host: 'localhost',
      port,
      tls,
      user: 'keyturn',
      password: async () => new Secret(canary),
      from: 'keyturn@example.com',
      to: ['ops@example.com'],
    },
    contextOf({ timeoutMs }),
  )
  const notice = testNotice('ops', { installation: 'inst', linkBase: undefined, unique: 'a' }, 0)
  return await channel.deliver(notice)
}

const nothingArrived = (receiver: Receiver): void => {
  expect(receiver.taken).toEqual([])
  expect(receiver.logins).toEqual([])
}

describe.each([
  ['implicit', implicit],
  ['starttls', startTls],
] as const)('mail with tls: %s', (tls, listen) => {
  it('is delivered to a server whose certificate an authority of the machine has signed', async () => {
    const receiver = await listen(own())
    expect(await send(receiver.port, tls)).toEqual({ kind: 'delivered' })
    expect(receiver.taken).toHaveLength(1)
    expect(receiver.logins).toEqual([`keyturn:${canary}`])
  })

  it.each([
    ['that signed itself', () => makeCertificate('mail.example.com')],
    [
      'of another host',
      () => makeCertificate('mail.example.com', { authority, host: 'mail.elsewhere.example' }),
    ],
  ])(
    'gives no mail and no password to a server with a certificate %s, and says what to mend',
    async (_of, made) => {
      const receiver = await listen(made())
      const outcome = await send(receiver.port, tls)
      expect(outcome).toMatchObject({
        kind: 'failed',
        isPermanent: true,
        isUnsure: false,
        summary: expect.stringMatching(/^TLS with it failed \([A-Z_]+\): .*NODE_EXTRA_CA_CERTS/),
      })
      nothingArrived(receiver)
    },
  )
})

describe('mail whose server, or somebody on the way, strips TLS', () => {
  it('is not sent where STARTTLS is asked for and not offered, or refused', async () => {
    const { cert, key } = own()
    for (const change of [{}, { hideSTARTTLS: true, disabledCommands: ['STARTTLS'], cert, key }]) {
      const receiver = await mailReceiver(change)
      expect(await send(receiver.port, 'starttls')).toMatchObject({
        kind: 'failed',
        isPermanent: true,
        isUnsure: false,
        summary: 'the mail server offers no STARTTLS: take tls: implicit, or its port for STARTTLS (587)',
      })
      nothingArrived(receiver)
    }
  })

  it('is not sent where TLS is to be from the first byte and the port speaks plainly, or the other way round', async () => {
    const plain = await mailReceiver()
    expect(await send(plain.port, 'implicit', 300)).toMatchObject({ kind: 'failed' })
    nothingArrived(plain)
    const encrypted = await implicit(own())
    expect(await send(encrypted.port, 'starttls', 300)).toMatchObject({ kind: 'failed' })
    nothingArrived(encrypted)
  })
})

it('comes to an end with a server that never does, after the time of one try', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.write('220 mail\r\n')
    const drip = setInterval(() => socket.write('250-more\r\n'), 20)
    socket.on('close', () => clearInterval(drip))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  expect(await send(port, 'starttls', 300)).toMatchObject({
    kind: 'failed',
    isPermanent: false,
    isUnsure: true,
    summary: 'no answer in time',
  })
})

it('says that the mail server does not take the user and password, and not which', async () => {
  const { cert, key } = own()
  const receiver = await mailReceiver({
    secure: true,
    cert,
    key,
    onAuth: (_auth, _session, done) => done(new Error(`no ${canary}`)),
  })
  expect(await send(receiver.port, 'implicit')).toMatchObject({
    kind: 'failed',
    isPermanent: true,
    summary: 'the mail server does not take the user and password (535)',
  })
})

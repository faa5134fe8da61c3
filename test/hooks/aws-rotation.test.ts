import { describe, expect, it, onTestFinished } from 'vitest'
import { isSecretOf, readRotationCall } from '../../src/hooks/aws-rotation.ts'
import { RotationWorld } from './rotation-world.ts'

const token = '3f0c2a71-d04b-4e58-86aa-5b1c2d3e4f50'
const arn = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/openai-a1b2c3'
const steps = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'] as const

async function world(field?: string): Promise<RotationWorld> {
  const made = await RotationWorld.start(field)
  onTestFinished(() => made.end())
  return made
}

describe('the event', () => {
  it.each(steps)('%s of Secrets Manager is a step', (step) => {
    const event = { Step: step, SecretId: arn, ClientRequestToken: token }
    const call = { kind: 'step', step, secret: arn, token }
    expect(readRotationCall(event)).toEqual(call)
    expect(readRotationCall({ ...event, RotationToken: 'for a role of another account' })).toEqual(call)
  })

  it.each([
    [{ keyturn: 'tick' }],
    [{ version: '0', source: 'aws.events', 'detail-type': 'Scheduled Event', detail: {} }],
  ])('of a schedule is a tick', (event) => {
    expect(readRotationCall(event)).toEqual({ kind: 'tick' })
  })

  it.each([
    [undefined],
    ['createSecret'],
    [{}],
    [{ Step: 'dropSecret', SecretId: arn, ClientRequestToken: token }],
    [{ Step: 'createSecret', SecretId: '', ClientRequestToken: token }],
    [{ Step: 'createSecret', SecretId: arn, ClientRequestToken: `${token}';` }],
    [{ Step: 'createSecret', SecretId: arn }],
  ])('is refused where it is anything else: %j', (event) => {
    expect(() => readRotationCall(event)).toThrow('neither a step of a rotation')
  })

  it.each([
    [arn, arn, true],
    [arn, arn.slice(0, -7), true],
    [arn, 'prod/openai', true],
    ['prod/openai', arn, true],
    [arn, 'openai', false],
    [arn, 'prod/openai-a1b2c3', false],
    [arn.replace('eu-central-1', 'us-east-1'), 'prod/openai', false],
    [arn.replace('111122223333', '444455556666'), arn, false],
    [arn.replace('111122223333', '444455556666'), arn.slice(0, -7), false],
  ])('%s names the secret %s of eu-central-1: %s', (asked, ref, isSame) => {
    expect(isSecretOf(asked, { ref, region: 'eu-central-1' })).toBe(isSame)
  })

  it('names a secret by its name alone where no region is configured', () => {
    expect(isSecretOf(arn, { ref: 'prod/openai', region: undefined })).toBe(true)
  })
})

describe('the four steps', () => {
  it('leave AWSCURRENT with their token and AWSPENDING with nobody; the old key lives for its overlap, and no longer', async () => {
    const made = await world()
    const old = made.current
    const asked = made.rotateSecret()
    for (const step of steps) expect([step, await made.invoke(step, asked)]).toEqual([step, 'done'])
    expect(made.current.token).toBe(asked)
    expect([made.isAlive(made.current.text), made.isAlive(old.text)]).toEqual([true, true])
    expect([...made.secret.versions.values()].filter(({ labels }) => labels.has('AWSPENDING'))).toEqual([])
    await made.invoke('tick', asked)
    expect(made.isAlive(old.text)).toBe(true)
    // A key that somebody made by hand is for them to revoke; ours are.
    const next = made.rotateSecret()
    const ours = made.current
    for (const step of steps) await made.invoke(step, next)
    await made.invoke('tick', next)
    expect(made.isAlive(ours.text)).toBe(true)
    made.clock.forward(61_000)
    await made.invoke('tick', next)
    expect([made.isAlive(made.current.text), made.isAlive(ours.text)]).toEqual([true, false])
  })

  it.each(steps)('%s can be repeated, alone and at the same time', async (step) => {
    const made = await world()
    const asked = made.rotateSecret()
    for (const earlier of steps.slice(0, steps.indexOf(step) + 1)) await made.invoke(earlier, asked)
    const again = await Promise.all([made.invoke(step, asked), made.invoke(step, asked)])
    expect(again).toEqual(['done', 'done'])
    expect(made.issuer.alive).toHaveLength(2)
    expect(made.issuer.count('mint')).toBe(1)
  })

  it('are refused for a version that AWS has not begun, or has given up', async () => {
    const made = await world()
    expect(await made.invoke('createSecret', token)).toBe('failed')
    const first = made.rotateSecret()
    expect(await made.invoke('createSecret', token)).toBe('failed')
    const second = made.rotateSecret()
    expect(await made.invoke('createSecret', first)).toBe('failed')
    expect(made.issuer.count('mint')).toBe(0)
    expect(await made.invoke('createSecret', second)).toBe('done')
  })

  it('are refused where the rotation is off, and not where AWS leaves out whether it is', async () => {
    const made = await world()
    const asked = made.rotateSecret()
    made.secret.isRotated = false
    expect(await made.invoke('createSecret', asked)).toBe('failed')
    delete made.secret.isRotated
    expect(await made.invoke('testSecret', asked)).toBe('done')
    expect(await made.invoke('createSecret', asked)).toBe('done')
  })

  it('that come before createSecret do nothing', async () => {
    const made = await world()
    const asked = made.rotateSecret()
    expect(await made.invoke('finishSecret', asked)).toBe('failed')
    expect(await made.invoke('setSecret', asked)).toBe('failed')
    // With which AWS tries the configuration: the current key works.
    expect(await made.invoke('testSecret', asked)).toBe('done')
    expect(made.issuer.alive).toHaveLength(1)
  })

  it.each<[string, 'before' | 'after']>([
    ['was not made', 'before'],
    ['was made, and its answer was lost', 'after'],
  ])('make one key where the first %s', async (_what, how) => {
    const made = await world()
    const asked = made.rotateSecret()
    made.issuer.breakCall('mint', how)
    const first = made.invoke('createSecret', asked)
    await new Promise<void>((resolve) => void made.clock.system.after(60, resolve))
    made.issuer.mend('mint')
    await first
    for (const step of steps) expect(await made.invoke(step, asked)).toBe('done')
    expect(made.issuer.alive).toHaveLength(2)
    expect(made.current.token).toBe(asked)
  })

  it('leave AWSPENDING with no other version where somebody changed the document meanwhile', async () => {
    const made = await world('OPENAI_API_KEY')
    const asked = made.rotateSecret()
    for (const step of steps.slice(0, 3)) expect(await made.invoke(step, asked)).toBe('done')
    made.changeDocument({ user: 'ann' })
    // Between the move of AWSCURRENT and the removal of AWSPENDING.
    made.place.fake.fault({ action: 'UpdateSecretVersionStage', kind: 'internal', after: 2, times: 1 })
    await made.invoke('finishSecret', asked)
    await made.invoke('finishSecret', asked)
    expect(JSON.parse(made.current.text)).toMatchObject({ user: 'ann' })
    expect(made.attemptAgain()).not.toBe(asked)
  })

  it('let AWS begin anew where the walk of its token was aborted before there was a key', async () => {
    const made = await world()
    const asked = made.attemptAgain()
    made.issuer.breakCall('mint', 'before')
    const first = made.invoke('createSecret', asked)
    while (made.issuer.count('mint') === 0)
      await new Promise<void>((resolve) => void made.clock.system.after(1, resolve))
    expect(await made.invoke('abort', asked)).toBe('done')
    made.issuer.mend('mint')
    expect(await first).toBe('failed')
    const next = made.attemptAgain()
    expect(next).not.toBe(asked)
    for (const step of steps) expect(await made.invoke(step, next)).toBe('done')
    expect(made.issuer.alive).toHaveLength(2)
  })

  it('bring a key, and leave none over, where the ledger was lost after createSecret', async () => {
    const made = await world()
    const asked = made.attemptAgain()
    expect(await made.invoke('createSecret', asked)).toBe('done')
    await made.loseLedger()
    // Under that token there is a key already, which nobody knows any more.
    expect(await made.invoke('createSecret', asked)).toBe('failed')
    const next = made.attemptAgain()
    for (const step of steps) expect(await made.invoke(step, next)).toBe('done')
    for (const ms of [61_000, 86_400_000]) {
      made.clock.forward(ms)
      await made.invoke('tick', next)
    }
    expect(made.issuer.alive.map(({ name }) => name)).toHaveLength(2)
    expect(made.isAlive(made.current.key)).toBe(true)
  })
})

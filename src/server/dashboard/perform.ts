import * as bodies from '../../api/validators.ts'
import { KeyturnError } from '../../core/errors.ts'
import type { Caller } from '../auth/caller.ts'
import type { ServerContext } from '../context.ts'
import { parseBody } from '../json-body.ts'
import { type ActId, isAlive, isRevocable } from './acts.ts'
import { short } from './words.ts'

export interface Performance {
  readonly id: ActId
  readonly name: string
  readonly caller: Caller
  readonly form: ReadonlyMap<string, string>
  /** Told to the audit: what the act turned out to be about. */
  readonly about: (what: string) => void
}

type Doing = (context: ServerContext, performance: Performance) => Promise<unknown>

/** Does what a form asks for, by the same rules for its fields as the API has for a body. */
export function perform(context: ServerContext, performance: Performance): Promise<unknown> {
  return doings[performance.id](context, performance)
}

const doings: Readonly<Record<ActId, Doing>> = {
  verify: ({ service }, { name, caller }) => service.verify(name, actorOf(caller)),
  rotate: async ({ service }, { name, caller, form }) => {
    const inBlackout = form.get('inBlackout') === 'yes' ? { inBlackout: true } : {}
    const body = parseBody(bodies.rotationRequest, { mode: 'normal', ...inBlackout, ...reasonOf(form) }, true)
    return service.rotate(name, body, actorOf(caller))
  },
  rehearse: async ({ service }, { name, caller, form }) => {
    const body = parseBody(bodies.rotationRequest, { mode: 'rehearsal', ...reasonOf(form) }, true)
    return service.rotate(name, body, actorOf(caller))
  },
  'roll-back': async ({ service }, { name, caller, form }) => {
    const to = form.get('to')
    const body = parseBody(
      bodies.rollbackRequest,
      { ...(to === undefined ? {} : { to }), ...reasonOf(form) },
      true,
    )
    return service.rollback(name, body, actorOf(caller))
  },
  bring: async ({ service }, { name, caller, form }) => {
    const apiKey = form.get('apiKey')?.trim() ?? ''
    if (!bodies.bringRequest.shape.apiKey.safeParse(apiKey).success) throw noKey()
    const body = parseBody(bodies.bringRequest, { apiKey, ...reasonOf(form) }, true)
    return service.bring(name, body, actorOf(caller))
  },
  emergency: async ({ service, approvals }, { name, caller, form }) => {
    const confirm = typedOf(form)
    const isCompromised = form.get('isCompromised') === 'yes'
    if (!isCompromised && confirm !== '') throw halfSaid(name)
    if (isCompromised)
      demandTyped(name, form, 'The old key is revoked as soon as the new one is out, whoever still uses it')
    const compromised = isCompromised ? { isCompromised, confirm } : {}
    const body = parseBody(
      bodies.rotationRequest,
      { mode: 'emergency', ...compromised, ...reasonOf(form) },
      true,
    )
    await approvals.need(name, { kind: 'emergency', request: body }, caller)
    return service.rotate(name, body, actorOf(caller))
  },
  pause: (context, performance) => actOnRotation('pause', context, performance),
  resume: (context, performance) => actOnRotation('resume', context, performance),
  abort: (context, performance) => actOnRotation('abort', context, performance),
  approve: async ({ service, approvals }, { name, caller, form, about }) => {
    const { id, act, by } = await approvals.take(name, form.get('of') ?? '', caller)
    about(`${id} asked for by ${by.name} ${by.id}`)
    const actor = { name: `${by.name} with ${caller.name}` }
    return act.kind === 'emergency'
      ? service.rotate(name, act.request, actor)
      : service.revoke(name, act.version, act.request, actor)
  },
  withdraw: async ({ approvals }, { name, form, about }) => {
    const id = form.get('of') ?? ''
    if (!(await approvals.withdraw(name, id)))
      throw new KeyturnError('not_found', 'Nothing waits for approval under this id.', {
        fix: 'It may have been approved, withdrawn, or be older than 15 minutes.',
      })
    about(id)
  },
  revoke: async ({ service, approvals }, { name, caller, form }) => {
    const { versions } = await service.summary(name)
    const target = versions.find(({ version }) => version === form.get('of'))
    if (target === undefined)
      throw new KeyturnError('not_found', `${name} has no such version any more.`, {
        fix: 'Look at the page of the credential.',
      })
    if (!isRevocable(target))
      throw new KeyturnError(
        'conflict',
        `${short(target.version)} is ${target.stage}: it is not revoked from here.`,
        {
          fix: 'Where it is what is handed out, rotate, or in an emergency say that it is in the wrong hands.',
        },
      )
    const { version } = target
    demandTyped(name, form, `Revoking ${short(version)} is for good`)
    const body = parseBody(bodies.revocationRequest, reasonOf(form), true)
    await approvals.need(name, { kind: 'revocation', version, request: body }, caller)
    return service.revoke(name, version, body, actorOf(caller))
  },
  forget: async ({ service, system }, { name, caller, form }) => {
    const instance = form.get('of') ?? ''
    const leases = (await service.leases(name)).filter((lease) => lease.instance === instance)
    if (isAlive(leases, system.now()))
      demandTyped(name, form, 'The instance lives: it may lose the key that it uses')
    return service.dropLease(name, instance, actorOf(caller))
  },
}

function demandTyped(name: string, form: ReadonlyMap<string, string>, what: string): void {
  if (typedOf(form) === name) return
  throw new KeyturnError('confirmation_needed', `${what}: its credential's name has to be typed.`, {
    fix: `Type ${name} below; nothing was done yet.`,
  })
}

function halfSaid(name: string): KeyturnError {
  return new KeyturnError(
    'confirmation_needed',
    'The name was typed, but it is not ticked that the key is in the wrong hands.',
    {
      fix: `Tick it to have the old key of ${name} revoked at once, or leave the name empty; nothing was done yet.`,
    },
  )
}

function noKey(): KeyturnError {
  return new KeyturnError(
    'bad_request',
    'What was pasted is no key: a key has no blanks and no letters with accents.',
    {
      fix: 'Copy it anew from OpenAI’s page, alone; it begins with sk- there.',
    },
  )
}

/** Whoever pastes a name often takes a blank along. */
function typedOf(form: ReadonlyMap<string, string>): string {
  return form.get('confirm')?.trim() ?? ''
}

async function actOnRotation(
  act: 'pause' | 'resume' | 'abort',
  { service }: ServerContext,
  { name, caller, about }: Performance,
): Promise<void> {
  const { rotation } = await service.summary(name)
  if (rotation === null || rotation.endedAt !== null)
    throw new KeyturnError('rotation_not_running', `No rotation of ${name} runs.`, {
      fix: 'It may have ended meanwhile: look at the page of the credential.',
    })
  about(rotation.id)
  await service.actOnRotation(name, rotation.id, act, actorOf(caller))
}

function actorOf(caller: Caller): { readonly name: string } {
  return { name: caller.name }
}

function reasonOf(form: ReadonlyMap<string, string>): { readonly reason?: string } {
  const reason = form.get('reason')?.trim() ?? ''
  return reason === '' ? {} : { reason }
}

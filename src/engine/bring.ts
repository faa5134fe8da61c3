import type { BringRequest } from '../api/types.ts'
import { isCompromised, recordOf } from '../core/credential.ts'
import { KeyturnError } from '../core/errors.ts'
import { fingerprint } from '../core/fingerprint.ts'
import { inspectKeyShape, type KeyKind } from '../core/key-inspection.ts'
import { askOfRotation, awaitBrought, takeBrought } from '../core/operations.ts'
import { Secret } from '../core/secret.ts'
import { giveUpHopeless } from '../core/turning.ts'
import type { CredentialState, VersionRecord } from '../core/types.ts'
import { type OperationsContext, reasonOf } from './operations.ts'
import type { CredentialSetup } from './setup.ts'

/** The intent first, then the value into the store, then the walk: a crash in between leaves a rotation that waits for a key. */
export async function bring(
  request: BringRequest,
  by: string,
  context: OperationsContext,
): Promise<VersionRecord> {
  const { setup, book, keyring, deps } = context
  assertShape(request.apiKey, setup)
  const secret = new Secret(request.apiKey)
  const name = setup.name
  const reason = reasonOf(request.reason, 'an operator brings a key')
  const print = fingerprint(secret, deps.system)
  if (isCompromised(book.state(name), print)) {
    throw new KeyturnError('version_not_live', `This key of ${name} was said to be in the wrong hands.`, {
      fix: 'Make another key at OpenAI and bring that one.',
    })
  }
  const twin = book.state(name).versions.find((one) => one.fingerprint === print && one.stage !== 'retired')
  if (twin !== undefined) {
    throw new KeyturnError(
      'conflict',
      `${name} holds this very key already (${twin.stage}, version ${twin.version}).`,
      { fix: 'Make another key at OpenAI and bring that one.' },
    )
  }
  if (setup.policy.isSelfMinting === true) await book.change(name, giveUpHopeless)
  const wasAwaiting = book.state(name).rotation?.phase === 'awaiting'
  const state = await book.change(name, (before, change) =>
    awaitBrought(before, { reason, requestedBy: by }, change),
  )
  const version = deps.system.uuid()
  const meta = { createdAt: deps.system.now() }
  try {
    // The fence of now: a runner may have claimed the credential meanwhile and written under a higher one.
    await setup.store.stage(setup.ref, { version, secret, meta, fence: book.state(name).fence })
  } catch (thrown) {
    // A rotation that waits for a key that will not come would stand in the way of every other.
    if (!wasAwaiting) await giveUp(state, by, context)
    throw thrown
  }
  keyring.put(name, version, secret)
  const added = { version, fingerprint: print, meta, origin: 'brought' } as const
  const brought = await book.change(name, (before, change) => takeBrought(before, added, change))
  context.wake()
  const record = recordOf(brought, version)
  if (record !== undefined) return record
  await setup.store.destroy(setup.ref, version)
  throw new KeyturnError(
    'rotation_not_running',
    `The rotation of ${name} that waited for a key ended meanwhile.`,
    { fix: `Bring it again: keyturn bring ${name}` },
  )
}

async function giveUp(state: CredentialState, by: string, { setup, book }: OperationsContext): Promise<void> {
  const id = state.rotation?.id
  await book.change(setup.name, (before, change) =>
    before.rotation?.id === id && before.rotation?.phase === 'awaiting'
      ? askOfRotation(before, { id: before.rotation.id, act: 'abort', by }, change)
      : undefined,
  )
}

const appKinds: readonly KeyKind[] = ['project', 'service_account', 'legacy_user']
const adminKeyFix =
  'Make an admin key (platform.openai.com, Settings, Organization, Admin keys) and bring that one.'

/** Refuses only what can never be a key; what works is for OpenAI to say. */
function assertShape(text: string, { name, isInternal }: CredentialSetup): void {
  const shape = inspectKeyShape(text)
  const fatal = shape.problems.find((one) => one.isFatal)
  if (shape.kind === 'placeholder') {
    throw new KeyturnError('bad_request', 'This is a placeholder and not a key.', {
      fix: 'Copy the key itself from OpenAI’s dashboard.',
    })
  }
  if (isInternal === true && appKinds.includes(shape.core)) {
    throw new KeyturnError('bad_request', `This is a key for apps, and ${name} is an admin key.`, {
      fix: adminKeyFix,
    })
  }
  if (isInternal !== true && shape.core === 'admin') {
    throw new KeyturnError('bad_request', 'This is an admin key, which cannot be used by apps.', {
      fix: 'Bring a project or service-account key.',
    })
  }
  if (shape.core === 'other_provider') {
    throw new KeyturnError(
      'bad_request',
      `This looks like a key of ${shape.provider ?? 'another provider'}.`,
      { fix: 'Bring a key of OpenAI.' },
    )
  }
  if (fatal === undefined) {
    if (isInternal !== true || shape.core === 'admin') return
    // It would be proven for a quarter of an hour, and the admin key that works could not be turned meanwhile.
    throw new KeyturnError(
      'bad_request',
      `This is no admin key, which ${name} is: admin keys begin with sk-admin-.`,
      { fix: adminKeyFix },
    )
  }
  const where = fatal.position === undefined ? '' : ` at position ${fatal.position + 1}`
  throw new KeyturnError(
    'bad_request',
    `This cannot be a key: ${fatal.character ?? fatal.name.replaceAll('_', ' ')}${where}.`,
    { fix: 'Copy the key again, without anything around it.' },
  )
}

import type { OperationId } from '../../api/operations.ts'
import type { ApprovalSummary, CredentialSummary, LeaseSummary } from '../../api/types.ts'
import { bodyLimits } from '../../api/validators.ts'
import { type Html, html } from './html.ts'
import { users } from './overview.ts'
import { short } from './words.ts'

export const actIds = [
  'verify',
  'rotate',
  'rehearse',
  'roll-back',
  'bring',
  'emergency',
  'pause',
  'resume',
  'abort',
  'approve',
  'withdraw',
] as const
export type ActId = (typeof actIds)[number]

/** What an act is about, as far as it is known before it is done. */
export interface Subject {
  readonly summary: CredentialSummary
  readonly leases: readonly LeaseSummary[]
  /** Of an approval: what waits. */
  readonly approval: ApprovalSummary | undefined
  /** Whether a key may be typed over this connection. */
  readonly isPrivate: boolean
}

export interface Act {
  /** The operation of the API that it is: the same grant, the same name in the audit. */
  readonly operation: OperationId
  readonly label: string
  readonly doneWords: string
  readonly isDanger: boolean
  /** Who loses what is told before it is done. */
  readonly hasRadius: boolean
  /** Whether somebody may say why. */
  readonly hasReason: boolean
  /** What it will do, sentence by sentence. */
  will(subject: Subject): readonly string[]
  fields?(subject: Subject): Html
}

const plain = { isDanger: false, hasRadius: false, hasReason: false } as const

export const acts: Readonly<Record<ActId, Act>> = {
  verify: {
    ...plain,
    operation: 'verifyCredential',
    label: 'Verify…',
    doneWords: 'Verified just now.',
    will: () => [
      'Asks OpenAI with the current key whether it works, and whom it belongs to.',
      'Changes nothing, unless the key is refused for good: then it is no longer handed out.',
    ],
  },
  rotate: {
    ...plain,
    operation: 'startRotation',
    label: 'Rotate…',
    doneWords: 'The rotation has begun.',
    hasReason: true,
    will: ({ summary, leases }) => [
      summary.issuer === 'manual'
        ? 'Waits for you to bring a new key, and proves it.'
        : `Makes a new key (${summary.issuer}) and proves it several times before anybody gets it.`,
      `Hands it out from then on. Who has a lease: ${users(summary, leases)}; apps with an open stream learn it at once, others when they ask next.`,
      'The old key lives on through the overlap, and is revoked only when nobody uses it any more.',
    ],
    fields: ({ summary }) =>
      summary.blackoutUntil === null
        ? html``
        : html`<p class="check"><input type="checkbox" id="inBlackout" name="inBlackout" value="yes"> <label for="inBlackout">Although the credential is in a blackout</label></p>`,
  },
  rehearse: {
    ...plain,
    operation: 'startRotation',
    label: 'Rehearse…',
    doneWords: 'The rehearsal has begun.',
    hasReason: true,
    will: () => [
      'Does all that a rotation does but hand the new key out: makes one, stores it, proves it, and revokes it again.',
      'Tells which permission is missing. Apps notice nothing.',
    ],
  },
  'roll-back': {
    ...plain,
    operation: 'rollBack',
    label: 'Roll back…',
    doneWords: 'The other version is handed out now.',
    isDanger: true,
    hasReason: true,
    will: ({ summary }) => [
      'Proves an older version that still lives, and hands it out again.',
      `The current one (${short(summary.current?.version ?? 'none')}) stays alive beside it and can be gone back to.`,
      summary.rotation !== null && summary.rotation.endedAt === null
        ? 'A rotation runs: pause or end it first where it is refused.'
        : 'Nothing is revoked by it.',
    ],
    fields: ({ summary }) => {
      const older = summary.versions.filter(({ stage }) => stage === 'previous' || stage === 'standby')
      if (older.length === 0) return html`<p class="box">No other version lives: it will be refused.</p>`
      return html`<label for="to">To which version</label><select id="to" name="to">${older.map(
        ({ version, stage, fingerprint }) =>
          html`<option value="${version}">${short(version)} (${stage}, ${fingerprint})</option>`,
      )}</select>`
    },
  },
  bring: {
    ...plain,
    operation: 'bringVersion',
    label: 'Bring a key…',
    doneWords: 'The key was taken; it is proven before it is handed out.',
    hasReason: true,
    will: () => [
      'Takes a key that you made at OpenAI, proves it, and keeps it in the store.',
      'Hands it out where nothing better is there, or where a rotation waits for it.',
      'The key is never shown again, neither here nor in logs.',
    ],
    fields: ({ isPrivate }) =>
      isPrivate
        ? html`<label for="apiKey">The key</label><input id="apiKey" name="apiKey" type="password" autocomplete="off" required spellcheck="false" minlength="${bodyLimits.apiKeyCharsMin}" maxlength="${bodyLimits.apiKeyChars}">`
        : html`<div class="box bad"><p><strong>This connection is not encrypted.</strong></p><p>Open the page over HTTPS, or use <code>keyturn bring</code>.</p></div>`,
  },
  emergency: {
    ...plain,
    operation: 'startRotation',
    label: 'Emergency…',
    doneWords: 'The emergency rotation has begun.',
    isDanger: true,
    hasRadius: true,
    hasReason: true,
    will: ({ summary, leases }) => [
      'Hands out a spare at once where one is ready; else makes and proves a new key without waiting.',
      `Waits for no schedule and no blackout. Who has a lease: ${users(summary, leases)}.`,
      'Where the key is said to be in the wrong hands, the old one is revoked as soon as the new one is out: whoever still uses it is refused.',
    ],
    fields: ({
      summary,
    }) => html`<p class="check"><input type="checkbox" id="isCompromised" name="isCompromised" value="yes" aria-describedby="compromised-help"> <label for="isCompromised">The key is in the wrong hands</label></p>
<p class="hint" id="compromised-help">Then type the name of the credential, <code>${summary.name}</code>:</p>
<label for="confirm">Name of the credential</label><input id="confirm" name="confirm" autocomplete="off" spellcheck="false" maxlength="64">`,
  },
  pause: {
    ...plain,
    operation: 'pauseRotation',
    label: 'Pause…',
    doneWords: 'The rotation is paused.',
    will: () => ['Stops the rotation before its next step. What is handed out stays.'],
  },
  resume: {
    ...plain,
    operation: 'resumeRotation',
    label: 'Resume…',
    doneWords: 'The rotation goes on.',
    will: () => ['Lets the rotation go on from where it stands.'],
  },
  abort: {
    ...plain,
    operation: 'abortRotation',
    label: 'End the rotation…',
    doneWords: 'The rotation is being ended.',
    isDanger: true,
    will: () => ['Ends the rotation and revokes its pending key. What is handed out stays.'],
  },
  approve: {
    ...plain,
    operation: 'approve',
    label: 'Approve…',
    doneWords: 'Approved, and begun.',
    isDanger: true,
    hasRadius: true,
    will: ({ approval }) => [
      approval === undefined
        ? 'Nothing waits under this id any more.'
        : `Does what ${approval.requestedBy} asked for: ${asked(approval)}.`,
      'Both names stand in the audit.',
    ],
  },
  withdraw: {
    ...plain,
    operation: 'withdrawApproval',
    label: 'Withdraw…',
    doneWords: 'Withdrawn.',
    will: ({ approval }) => [
      approval === undefined ? 'Nothing waits under this id any more.' : `Takes back: ${asked(approval)}.`,
    ],
  },
}

function asked({ act, version, isCompromised, isEvenIfLast }: ApprovalSummary): string {
  if (act === 'emergency')
    return isCompromised ? 'an emergency rotation that revokes the old key at once' : 'an emergency rotation'
  return `to revoke ${short(version ?? '')}${isEvenIfLast ? ', even if it is the last that works' : ''}`
}

/** What makes sense now; the rest is refused anyway. */
export function actsOffered({ rotation, isInternal }: CredentialSummary): readonly ActId[] {
  const ofRotation: readonly ActId[] =
    rotation === null || rotation.endedAt !== null
      ? []
      : [rotation.isPaused || rotation.phase === 'halted' ? 'resume' : 'pause', 'abort']
  const always: readonly ActId[] = ['verify', 'rotate', 'rehearse', 'roll-back', 'bring', 'emergency']
  return [...ofRotation, ...always.filter((id) => !isInternal || id !== 'bring')]
}

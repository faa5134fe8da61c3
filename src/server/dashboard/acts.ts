import type { OperationId } from '../../api/operations.ts'
import type { ApprovalSummary, CredentialSummary, LeaseSummary, VersionSummary } from '../../api/types.ts'
import { bodyLimits } from '../../api/validators.ts'
import { type Html, html } from './html.ts'
import { users } from './overview.ts'
import { relative, short, spaced } from './words.ts'

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
  'revoke',
  'forget',
] as const
export type ActId = (typeof actIds)[number]

/** What an act is about, as far as it is known before it is done. */
export interface Subject {
  readonly summary: CredentialSummary
  readonly leases: readonly LeaseSummary[]
  /** Of an approval: what waits. */
  readonly approval: ApprovalSummary | undefined
  /** Of a revocation: what is to be revoked. */
  readonly version: VersionSummary | undefined
  /** Of a lease that is to be forgotten: those of that instance; apps may have named theirs alike. */
  readonly leasesOf: readonly LeaseSummary[]
  /** Whether a key may be typed over this connection. */
  readonly isPrivate: boolean
  /** Who looks. */
  readonly who: string
  /** What was typed before, where it was refused: nobody has to notice that a tick is gone. */
  readonly sent: ReadonlyMap<string, string>
  readonly now: number
}

export interface Act {
  /** The operation of the API that it is: the same name in the audit. */
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
  /** Why it cannot be done now; undefined: it can be asked for. */
  cannot?(subject: Subject): string | undefined
  fields?(subject: Subject): Html
}

const plain = { isDanger: false, hasRadius: false, hasReason: false } as const

/** Not heard of for so long, an instance is believed to have ended; the command line says the same. */
const silentMs = 600_000

/** Whether somebody may lose by it what they use: then the name has to be typed. */
export function isAlive(leases: readonly LeaseSummary[], now: number): boolean {
  return leases.some(({ seenAt }) => now - Date.parse(seenAt) < silentMs)
}

const noRotation = ({ summary }: Subject): string | undefined =>
  isTurning(summary) ? undefined : 'No rotation runs: it may have ended meanwhile.'

/** A spare that is being made is taken over. */
const alreadyTurning = ({ summary: { name, rotation } }: Subject): string | undefined =>
  rotation !== null && rotation.endedAt === null && rotation.mode !== 'standby'
    ? `A rotation of ${name} runs already (${spaced(rotation.phase)}): let it end, or end it first.`
    : undefined

const nothingWaits =
  'Nothing waits under this id any more: it was approved or withdrawn, or is older than 15 minutes.'

function isTurning({ rotation }: CredentialSummary): boolean {
  return rotation !== null && rotation.endedAt === null
}

const others = ({ versions }: CredentialSummary): readonly VersionSummary[] =>
  versions.filter(({ stage }) => stage === 'previous' || stage === 'standby')

function typedName({ summary: { name }, sent }: Subject): Html {
  return html`<label for="confirm">To confirm, type the name of the credential, <code>${name}</code></label><input id="confirm" name="confirm" value="${sent.get('confirm') ?? ''}" autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="64">`
}

function ticked(sent: Subject['sent'], name: string): Html {
  return sent.get(name) === 'yes' ? html` checked` : html``
}

export const acts: Readonly<Record<ActId, Act>> = {
  verify: {
    ...plain,
    operation: 'verifyCredential',
    label: 'Verify…',
    doneWords: 'Verified just now: OpenAI accepts the key.',
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
    cannot: alreadyTurning,
    will: ({ summary, leases }) => [
      summary.issuer === 'manual'
        ? 'Waits for you to bring a new key, and proves it.'
        : `Makes a new key (${summary.issuer}) and proves it several times before anybody gets it.`,
      `Hands it out from then on. Who has a lease: ${users(summary, leases)}; apps with an open stream learn it at once, others when they ask next.`,
      'The old key lives on through the overlap, and is revoked only when nobody uses it any more.',
    ],
    fields: ({ summary, sent }) =>
      summary.blackoutUntil === null
        ? html``
        : html`<p class="check"><input type="checkbox" id="inBlackout" name="inBlackout" value="yes"${ticked(sent, 'inBlackout')}> <label for="inBlackout">Although the credential is in a blackout</label></p>`,
  },
  rehearse: {
    ...plain,
    operation: 'startRotation',
    label: 'Rehearse…',
    doneWords: 'The rehearsal has begun.',
    hasReason: true,
    cannot: alreadyTurning,
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
    cannot: ({ summary }) =>
      others(summary).length === 0 ? 'No other version lives that could be gone back to.' : undefined,
    fields: ({ summary, sent }) =>
      html`<label for="to">To which version</label><select id="to" name="to">${others(summary).map(
        ({ version, stage, fingerprint }) =>
          html`<option value="${version}"${sent.get('to') === version && html` selected`}>${short(version)} (${stage}, ${fingerprint})</option>`,
      )}</select>`,
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
      sent,
    }) => html`<p class="check"><input type="checkbox" id="isCompromised" name="isCompromised" value="yes" aria-describedby="compromised-help"${ticked(sent, 'isCompromised')}> <label for="isCompromised">The key is in the wrong hands</label></p>
<p class="hint" id="compromised-help">Then type the name of the credential, <code>${summary.name}</code>:</p>
<label for="confirm">Name of the credential</label><input id="confirm" name="confirm" value="${sent.get('confirm') ?? ''}" autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="64">`,
  },
  pause: {
    ...plain,
    operation: 'pauseRotation',
    label: 'Pause…',
    doneWords: 'The rotation is paused.',
    cannot: noRotation,
    will: () => ['Stops the rotation before its next step. What is handed out stays.'],
  },
  resume: {
    ...plain,
    operation: 'resumeRotation',
    label: 'Resume…',
    doneWords: 'The rotation goes on.',
    cannot: noRotation,
    will: () => ['Lets the rotation go on from where it stands.'],
  },
  abort: {
    ...plain,
    operation: 'abortRotation',
    label: 'End the rotation…',
    doneWords: 'The rotation is being ended.',
    isDanger: true,
    cannot: noRotation,
    will: () => ['Ends the rotation and revokes its pending key. What is handed out stays.'],
  },
  approve: {
    ...plain,
    operation: 'approve',
    label: 'Approve…',
    doneWords: 'Approved, and begun.',
    isDanger: true,
    hasRadius: true,
    cannot: ({ approval, who }) =>
      approval === undefined
        ? nothingWaits
        : approval.requestedBy === who
          ? 'You asked for it yourself: another person has to approve it.'
          : undefined,
    will: ({ approval }) =>
      approval === undefined
        ? []
        : [
            `Does what ${approval.requestedBy} asked for: ${asked(approval)}.`,
            ...(approval.reason === null ? [] : [`Why: ${approval.reason}`]),
            'Both names stand in the audit.',
          ],
  },
  withdraw: {
    ...plain,
    operation: 'withdrawApproval',
    label: 'Withdraw…',
    doneWords: 'Withdrawn.',
    cannot: ({ approval }) => (approval === undefined ? nothingWaits : undefined),
    will: ({ approval }) => (approval === undefined ? [] : [`Takes back: ${asked(approval)}.`]),
  },
  revoke: {
    operation: 'revokeVersion',
    label: 'Revoke…',
    doneWords: 'The version is being revoked; below stands when it is proven dead.',
    isDanger: true,
    hasRadius: true,
    hasReason: true,
    cannot: ({ version }) => {
      if (version === undefined) return 'There is no such version any more.'
      return isRevocable(version) ? undefined : unrevocable[version.stage]
    },
    will: ({ summary, version, now }) => {
      const walk = summary.retirements.find((one) => one.version === version?.version && one.endedAt === null)
      return [
        `Deletes the key of version ${short(version?.version ?? '')} (${version?.stage ?? ''}, ${version?.fingerprint ?? ''}) at OpenAI, for good, and proves that it is dead: whoever still uses it is refused.`,
        summary.current === null
          ? 'Nothing is handed out at the moment.'
          : `What is handed out, ${short(summary.current.version)}, stays.`,
        ...(walk === undefined
          ? []
          : [
              `Left alone, it is revoked by itself once nobody uses it and its overlap is over (${relative(Date.parse(walk.overlapUntil) - now)}).`,
            ]),
      ]
    },
    fields: typedName,
  },
  forget: {
    ...plain,
    operation: 'dropLease',
    label: 'Forget…',
    doneWords: 'The lease is forgotten.',
    isDanger: true,
    cannot: ({ leasesOf }) =>
      leasesOf.length === 0 ? 'No instance of that name has a lease any more.' : undefined,
    will: ({ summary, leasesOf, now }) => [
      ...leasesOf.map(
        ({ app, instance, generation, seenAt }) =>
          `Forgets that ${instance} of ${app} holds ${generation >= summary.generation ? 'the current key' : 'an older key'}; it was heard of ${relative(Date.parse(seenAt) - now)}.`,
      ),
      'An old key is no longer kept alive for it. Where the instance has ended, that is all.',
      isAlive(leasesOf, now)
        ? 'It was heard of lately and seems to live: what it uses may be revoked under it. It has a lease again when it asks for its key next.'
        : 'It has been silent for ten minutes and more; should it live after all, it has a lease again when it asks for its key next.',
    ],
    fields: (subject) => (isAlive(subject.leasesOf, subject.now) ? typedName(subject) : html``),
  },
}

/** What nobody is given anew, and no rotation is about to hand out. */
export function isRevocable({ stage }: VersionSummary): boolean {
  return stage === 'previous' || stage === 'standby'
}

const unrevocable: Readonly<Record<string, string>> = {
  current:
    'It is what is handed out, so it is not revoked from here. Rotate hands out another one first; Emergency does so at once and then revokes it.',
  pending: 'It is the new key of a rotation that runs: end the rotation, and it is revoked.',
  retired: 'It is retired already: nobody is given it, and its revocation is under way or done.',
}

/** What waits for a second person, in words. */
export function asked({ act, version, isCompromised, isEvenIfLast }: ApprovalSummary): string {
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

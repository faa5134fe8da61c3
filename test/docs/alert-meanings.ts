import { type AlertCode, alertRules } from '../../src/core/alert-codes.ts'

/** What each alert of docs/alerts.md means and what to do; the compiler sees to it that none is left out. */
export const alertMeanings: Readonly<Record<AlertCode, readonly [means: string, fix: string]>> = {
  no_verified_key: [
    'Nothing can be handed out: apps that hold no key get 503. Where OpenAI rejected the only key, this says so, and `key_rejected` is not told beside it.',
    'Do what the message says; [no verified key](symptoms/no-verified-key.md).',
  ],
  key_rejected: ['OpenAI refuses the key, and no other one took over yet.', '[401](symptoms/401.md).'],
  key_compromised: [
    'A key that was said to be in the wrong hands is still handed out.',
    'Turn it at once: [a key is in the wrong hands](tasks/emergency.md).',
  ],
  quota_exhausted: [
    'OpenAI answers `insufficient_quota` or refuses for billing: another key of the project does not help.',
    'Raise the limit or pay, in OpenAI’s dashboard; [429](symptoms/429.md).',
  ],
  account_blocked: [
    'OpenAI has deactivated the organisation, the project or the account.',
    'Write to OpenAI; turning the key does not help.',
  ],
  key_misconfigured: [
    'Headers, addresses or networks are not what OpenAI expects of this key.',
    'Correct `expected`, `baseUrl`, or the IP allow-list; [403](symptoms/403.md).',
  ],
  key_restricted: [
    'The key is genuine and lacks a scope or model that `expected` names.',
    'Give the key the scope, or take it out of `expected`; [403](symptoms/403.md).',
  ],
  key_throttled: [
    'OpenAI answers checks with 429 for long.',
    'Ask OpenAI less often; [429](symptoms/429.md).',
  ],
  failover: [
    'OpenAI refused the current key, and another live one was handed out at once.',
    'Find out who ended the key. It is over by itself after `alerts.momentary`.',
  ],
  key_expiring: [
    'The key expires and nothing turns it before. Told at each of `alerts.expiry`; critical on the last day.',
    '[A key is about to expire](symptoms/key-expiring.md).',
  ],
  rotation_due_soon: ['The key is turned within `alerts.rotationSoon`. A note.', 'Nothing.'],
  rotation_overdue: [
    'The key was due `alerts.rotationLate` ago and no rotation is under way.',
    'See what holds it: status says. Blackouts hold it back without this alert.',
  ],
  rotation_halted: [
    'A rotation stopped and needs a person; critical where it is an emergency.',
    '[A rotation is halted](symptoms/halted.md).',
  ],
  rotation_waiting: ['A rotation waits for a key that a person brings.', 'Make one at OpenAI and bring it.'],
  retirement_halted: [
    'An old key cannot be retired for now.',
    '[An old key is not revoked](symptoms/stuck-retirement.md).',
  ],
  retirement_unproven: [
    'A key was revoked and OpenAI still accepts it.',
    'Delete it by hand in OpenAI’s dashboard; it is probed on.',
  ],
  old_key_in_use: [
    'An old key is past its drain limit and somebody still holds or uses it; the message says who.',
    'Move that app on; [an old key is not revoked](symptoms/stuck-retirement.md).',
  ],
  drift: [
    'A store or a mirror holds another key than the one that is handed out.',
    '[Drift](symptoms/drift.md).',
  ],
  standby_missing: ['A spare key is configured and could not be made.', '[Spares](standby.md).'],
  admin_key_expiring: ['As `key_expiring`, of an admin key.', '[The admin key](admin-key.md).'],
  admin_key_ageing: [
    'An admin key is older than `alerts.adminKeyAge`, and no schedule turns it.',
    'Turn it, or give it a schedule; [the admin key](admin-key.md).',
  ],
  store_unreachable: ['A store has not answered for five minutes.', '[When something is away](outages.md).'],
  store_unusable: [
    'A store refuses, is empty, or holds what is no key.',
    'The message names the permission, name or value; [stores](stores.md).',
  ],
  ledger_unreachable: [
    'This replica cannot reach the ledger: it hands out and turns nothing. Each replica tells its own.',
    '[When something is away](outages.md).',
  ],
  issuer_unreachable: [
    'No check of the key was answered for ten minutes. What is handed out stays.',
    '[When something is away](outages.md).',
  ],
  clock_wrong: ['The clock of a machine is off by more than 30 s.', 'Set it; look at its time service.'],
  audit_unavailable: [
    'A place of the audit journal takes no rows; critical where none does.',
    'Make room or mend it; [audit](audit.md).',
  ],
  orphan_revoked: [
    'A key that Keyturn had made and nobody held was found and revoked. A note.',
    'Nothing; [an orphan](symptoms/orphan.md).',
  ],
  revoke_by_hand: [
    'An old key has to be deleted at OpenAI by a person.',
    'Delete it in OpenAI’s dashboard; the message names it.',
  ],
  key_vanished: [
    'A key of yours is no longer listed at OpenAI: somebody deleted it there.',
    'Find out who; the audit log of OpenAI has it.',
  ],
  last_known_good: [
    'A replica answers from its last-known-good file, since nobody could be asked.',
    'Bring back what is away; [when something is away](outages.md).',
  ],
  last_known_good_unwritten: [
    'A replica could not write its last-known-good file: a restart during an outage would have no key.',
    'Make room, or correct the permissions of the folder.',
  ],
  exchange_refused: [
    'OpenAI declines to exchange the identity of this workload.',
    '[Workload identity](workload-identity.md).',
  ],
  exchange_failing: [
    'The exchange gets no answer, or this machine has no token to exchange.',
    '[Workload identity](workload-identity.md).',
  ],
  verification_stretched: [
    'More keys than the rate per organisation allows to verify as often as configured. A note.',
    'Raise `verification.perOrganizationPerMinute`, or make `verifyEvery` longer.',
  ],
  other_trouble: [
    'A trouble that has no alert of its own; the message says all that is known.',
    'Do what the message says.',
  ],
}

export function alertRows(): readonly (readonly string[])[] {
  return (Object.keys(alertRules) as AlertCode[]).map((code) => {
    const [means, fix] = alertMeanings[code]
    const { severity, holdMs } = alertRules[code]
    return [`\`${code}\``, severity, holdMs === 0 ? 'at once' : `${holdMs / 1_000} s`, means, fix]
  })
}

/**
 * The codes that alerts (`event: alert`) and troubles (`keyturn status`, `troubles` of a credential) carry beside those of
 * docs/errors.md. A test holds them against the sources.
 */
export const toldCodes: Readonly<Record<string, string>> = {
  key_rejected:
    'The current key was rejected twice and withdrawn; what is handed out now, or that nothing is.',
  key_expiring: 'The key that is handed out expires soon, and nothing has replaced it.',
  key_compromised:
    'A key that was said to be in the wrong hands is still alive, or another credential holds it too.',
  key_vanished: 'A key of ours is no longer in the list of the issuer: somebody deleted it there.',
  key_still_used: 'The drain limit is over and an old key is still held or used; who it is.',
  key_not_dead: 'A revoked key could not be proven dead in time; it is probed on.',
  retirement_held: 'An old key cannot be retired for now, and why.',
  retirement_halted: 'A retirement stopped and needs a person.',
  revoke_by_hand: 'A key has to be deleted at the issuer by hand.',
  orphan_revoked: 'A key that Keyturn had made and nobody held was found at the issuer and revoked.',
  stray_key_revoked: 'A key of a mint whose answer was never seen was found later and revoked.',
  store_changed: 'Somebody put another key into the store, and it is not handed out.',
  mirror_behind: 'A mirror could not be brought in line.',
  mirror_drift: 'Somebody put another key into a mirror.',
  standby_missing: 'There is no spare key, because making one has failed.',
  standby_failed: 'A spare key could not be made.',
  standby_rejected: 'A spare key was rejected, and is replaced.',
  verification_stretched:
    'There are more credentials than the rate per organisation allows to verify as often as configured.',
  exchange_refused: 'OpenAI declined the exchange of a workload identity.',
  exchange_failing: 'An exchange got no answer, or there was no token to exchange.',
  last_known_good: 'The key comes from the last-known-good file.',
  last_known_good_unwritten: 'The last-known-good file does not hold what it should.',
}

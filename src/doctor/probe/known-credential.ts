import { fingerprint } from '../../core/fingerprint.ts'
import type { Hash } from '../../core/ports.ts'
import type { Secret } from '../../core/secret.ts'
import type { Belonging } from '../../core/types.ts'
import type { Facts, KeyturnCredential } from '../facts.ts'

/** What Keyturn knows of the key, or of the credential that it should be. */
export interface Known {
  readonly credential: KeyturnCredential
  /** Whether the credential has, or had, this very key. */
  readonly isIts: boolean
  /** When it last proved good. */
  readonly verifiedAt?: number
  readonly expiresAt?: number
  readonly expected: Belonging
}

/** The credential that has the key, else the only one that apps get. */
export function knownCredential(
  facts: Pick<Facts, 'keyturn'>,
  secret: Secret,
  hash: Hash,
): Known | undefined {
  const credentials = (facts.keyturn?.credentials ?? []).filter(({ status }) => status?.isInternal !== true)
  const print = fingerprint(secret, hash)
  for (const credential of credentials) {
    const { stored, status } = credential
    const version = status?.versions.find((one) => one.fingerprint === print)
    const isStored = stored.kind === 'found' && stored.secret.equals(secret)
    if (version === undefined && !isStored) continue
    const verifiedAt = instant(version?.verifiedAt)
    const expiresAt =
      (stored.kind === 'found' && isStored ? stored.expiresAt : undefined) ?? instant(version?.expiresAt)
    return {
      credential,
      isIts: true,
      ...(verifiedAt === undefined ? {} : { verifiedAt }),
      ...(expiresAt === undefined ? {} : { expiresAt }),
      expected: expectedOf(credential),
    }
  }
  const [only] = credentials
  return only === undefined || credentials.length > 1
    ? undefined
    : { credential: only, isIts: false, expected: expectedOf(only) }
}

/** What is configured, else what the key that is current was seen to answer for. */
function expectedOf({ expectation, status }: KeyturnCredential): Belonging {
  const organization = expectation.organization ?? status?.current?.organization ?? undefined
  const project = expectation.project ?? status?.current?.project ?? undefined
  return {
    ...(organization === undefined ? {} : { organization }),
    ...(project === undefined ? {} : { project }),
  }
}

function instant(text: string | null | undefined): number | undefined {
  const at = Date.parse(text ?? '')
  return Number.isNaN(at) ? undefined : at
}

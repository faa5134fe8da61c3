/**
 * The name that a key gets at the issuer: whose it is, and a random part that is written down before the key is made.
 * `keyturn-<installation>-<20 hex digits>`
 */
const pattern = /^keyturn-([A-Za-z0-9_]{1,40})-[0-9a-f]{20}$/

export function markerOf(installation: string, uuid: string): string {
  return `keyturn-${installation}-${uuid.replaceAll('-', '').slice(0, 20)}`
}

/** The installation that gave this name; undefined for a name that no Keyturn gave. */
export function installationIn(name: string): string | undefined {
  return pattern.exec(name)?.[1]
}

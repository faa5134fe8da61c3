import type { Service } from '../image/compose.ts'

/** What of a service of a compose file leaves more open than it has to. */
export function looseIn(service: Service): readonly string[] {
  const found: string[] = []
  if (!/^[1-9]\d*:[1-9]\d*$/.test(service.user ?? '')) found.push('user is not a number other than 0')
  if (service.read_only !== true) found.push('its file system can be written')
  if (service.cap_drop?.includes('ALL') !== true) found.push('it keeps capabilities')
  if (service['cap_add'] !== undefined) found.push('it gets capabilities')
  if (service['privileged'] !== undefined) found.push('it is privileged')
  if (service.security_opt?.includes('no-new-privileges:true') !== true) found.push('it may gain privileges')
  if (service.pids_limit === undefined) found.push('it may start any number of processes')
  if (/^(?:host|container:)/.test(service.network_mode ?? '')) found.push("it has the machine's network")
  for (const port of service.ports ?? [])
    if (!port.startsWith('127.0.0.1:')) found.push(`${port} is open to other machines`)
  for (const volume of service.volumes ?? []) {
    if (volume.includes('docker.sock')) found.push('it has the socket of Docker')
    if (/^[./]/.test(volume) && !volume.endsWith(':ro')) found.push(`${volume} can be written`)
  }
  for (const [name, value] of Object.entries(service.environment ?? {}))
    if (/(?:KEY|TOKEN|SECRET|PASSWORD)$/.test(name)) found.push(`${name} holds a secret: ${typeof value}`)
  return found
}

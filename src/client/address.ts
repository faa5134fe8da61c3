/** HTTPS, or this very machine: whatever else is sent in the clear, tokens and keys with it, for anybody on the way to read. */
export function isProtected({ protocol, hostname }: URL): boolean {
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname))
}

/** `URL` writes every form of an IPv4 address with four numbers, and lower-cases names. */
function isLoopback(hostname: string): boolean {
  return (
    hostname === 'localhost' ||
    hostname.endsWith('.localhost') ||
    hostname === '[::1]' ||
    /^127(?:\.\d{1,3}){3}$/.test(hostname)
  )
}

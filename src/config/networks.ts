import { isIP } from 'node:net'

/** Addresses that begin with the same bits; one address where `bits` is all of them. */
export interface Network {
  readonly address: string
  readonly bits: number
}

/** `10.0.0.0/8`, `2001:db8::/32` or one address; undefined where it is none of them. */
export function parseNetwork(text: string): Network | undefined {
  const [address = '', bits, more] = text.split('/')
  const version = isIP(address)
  if (version === 0 || more !== undefined) return undefined
  const whole = version === 4 ? 32 : 128
  if (bits === undefined) return { address, bits: whole }
  return /^\d{1,3}$/.test(bits) && Number(bits) <= whole ? { address, bits: Number(bits) } : undefined
}

/** As in `trustedProxies`: a network, or `unix` for whoever connects over the socket. */
export function parseProxy(text: string): Network | 'unix' | undefined {
  return text === 'unix' ? 'unix' : parseNetwork(text)
}

import type { JwtRule } from '../../core/access.ts'
import type { Log } from '../../core/ports.ts'
import type { Claims } from './jwt-claims.ts'

export interface NearMisses {
  /** A token that no rule takes. Looks at what it says of itself, unproven. */
  note(rules: readonly JwtRule[], claims: Claims): void
  /** The rules are others now. */
  forget(): void
}

/**
 * Whoever is refused learns nothing of why, so an operator who wrote the issuer with a slash too many would see 401 and no more.
 * Told in the log, once for each rule and reason, since anybody can send such a token.
 */
export function createNearMisses(log: Log): NearMisses {
  const told = new Set<string>()
  return {
    note(rules, claims) {
      for (const rule of rules) {
        const miss = missOf(rule, claims)
        const key = `${rule.name} ${miss?.why}`
        if (miss === undefined || told.has(key)) continue
        told.add(key)
        log('warn', 'a web token was nearly taken', { rule: rule.name, issuer: rule.issuer, ...miss })
      }
    },
    forget: () => told.clear(),
  }
}

function missOf(
  rule: JwtRule,
  { iss, aud, iat, exp }: Claims,
): { readonly why: string; readonly fix: string } | undefined {
  if (typeof iss !== 'string') return undefined
  if (iss !== rule.issuer && withoutSlash(iss) === withoutSlash(rule.issuer))
    return {
      why: 'its iss and the issuer of the rule differ by a slash at the end',
      fix: `Write the issuer ${iss.endsWith('/') ? 'with' : 'without'} a slash at its end, exactly as in iss.`,
    }
  if (iss !== rule.issuer) return undefined
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
  if (!rule.audience.some((one) => audiences.includes(one)))
    return {
      why: 'it is for another audience',
      fix: 'Ask the issuer for a token with the audience of the rule, or correct audience.',
    }
  if (typeof iat !== 'number' || typeof exp !== 'number')
    return { why: 'it has no iat or no exp', fix: 'Have the issuer put both into its tokens.' }
  if (exp - iat > rule.lifetimeMaxMs / 1_000)
    return {
      why: 'it was made for longer than lifetimeMax',
      fix: 'Ask the issuer for a shorter one, or raise lifetimeMax.',
    }
  return undefined
}

function withoutSlash(text: string): string {
  return text.replace(/\/$/, '')
}

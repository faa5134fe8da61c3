import { type Budget, fullBudget, mayAsk, mayAskAt, refilled, spent, type Urgency } from '../core/budget.ts'
import type { Clock } from '../core/ports.ts'
import type { CredentialSetup } from './setup.ts'

/** Thirty times what a team of a hundred credentials asks, and enough for ten thousand at the default interval. */
export const verificationsPerMinute = 3_000

/** How often each organisation at the issuer is asked by this process, whoever asks. */
export interface Pace {
  readonly perMinute: number
  /** Takes one question of this kind; false: not now. */
  take(organization: string, urgency: Urgency): boolean
  /** It was not asked after all. */
  giveBack(organization: string): void
  /** Questions that nobody had to wait for, or that came with one that was taken. */
  note(organization: string, urgency: Urgency, count: number): void
  /** When the next one of this kind may be taken. */
  takeAt(organization: string, urgency: Exclude<Urgency, 'urgent'>): number
}

export function createPace(clock: Clock, perMinute: number = verificationsPerMinute): Pace {
  const budgets = new Map<string, Budget>()

  function budgetOf(organization: string): Budget {
    const now = clock.now()
    return refilled(budgets.get(organization) ?? fullBudget(perMinute, now), perMinute, now)
  }

  function note(organization: string, urgency: Urgency, count: number): void {
    budgets.set(organization, spent(budgetOf(organization), perMinute, { urgency, count }))
  }

  return {
    perMinute,
    take(organization, urgency) {
      const budget = budgetOf(organization)
      if (!mayAsk(budget, perMinute, urgency)) return false
      budgets.set(organization, spent(budget, perMinute, { urgency, count: 1 }))
      return true
    },
    giveBack(organization) {
      const budget = budgetOf(organization)
      budgets.set(organization, { ...budget, tokens: budget.tokens + 1 })
    },
    note,
    takeAt: (organization, urgency) => mayAskAt(budgetOf(organization), perMinute, urgency),
  }
}

/** Whose rate a credential counts against: keys of which no organisation is configured share one at their issuer. */
export function organizationOf(setup: {
  readonly expected: CredentialSetup['expected']
  readonly issuer: Pick<CredentialSetup['issuer'], 'baseUrl'>
}): string {
  return `${setup.issuer.baseUrl} ${setup.expected.organization ?? ''}`
}

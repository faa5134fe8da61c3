import { startAt } from '../core/fixtures.ts'
import { type Dice, diceOf } from './dice.ts'
import { optionsOf, type SimOptions } from './options.ts'
import { Story } from './story.ts'
import { SimTime } from './time.ts'

export interface Violation {
  readonly rule: string
  readonly what: string
}

/** What all parts of one simulated world share. */
export class Sim {
  readonly options: SimOptions
  readonly time = new SimTime()
  readonly story: Story
  readonly dice: Dice
  readonly violations: Violation[] = []
  /** Nothing fails any more from here on. */
  isHealed = false

  constructor(seed: number, isLoud = false) {
    this.options = optionsOf(seed)
    this.dice = diceOf(seed, 'world')
    this.story = new Story(() => this.time.elapsed, isLoud)
  }

  /** True time, which no replica knows. */
  readonly now = (): number => startAt + Math.floor(this.time.elapsed)

  object(rule: string, what: string): void {
    this.story.tell('VIOLATION', `${rule}: ${what}`)
    if (this.violations.length < 20) this.violations.push({ rule, what })
  }

  readonly isOver = (): boolean => this.violations.length > 0
}

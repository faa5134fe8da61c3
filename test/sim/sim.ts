import { startAt } from '../core/fixtures.ts'
import { type Dice, diceOf } from './dice.ts'
import type { SimOptions } from './options.ts'
import { Story } from './story.ts'
import { SimTime } from './time.ts'

export interface Violation {
  readonly rule: string
  readonly what: string
}

/** What all parts of one simulated world share. */
export class Sim {
  readonly options: SimOptions
  readonly time: SimTime
  readonly story: Story
  readonly dice: Dice
  readonly violations: Violation[] = []
  /** Nothing fails any more from here on. */
  isHealed = false

  constructor(options: SimOptions, isLoud = false) {
    this.options = options
    this.time = new SimTime(options.eventsMax)
    this.dice = diceOf(options.seed, 'world')
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

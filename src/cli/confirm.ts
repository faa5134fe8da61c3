import { KeyturnError } from '../core/errors.ts'
import type { Context } from './command.ts'
import { Interrupted } from './exit.ts'

/**
 * Types the name of what loses something, or gives it with --confirm. From a pipe without --confirm nothing is done: nobody has
 * seen what is lost. Error: `confirmation_needed`. Throws Interrupted where the person leaves at the question.
 */
export async function confirmed(
  context: Context,
  asked: {
    readonly name: string
    /** What is about to happen, as the beginning of a sentence. */
    readonly what: string
    /** What else is needed to do it. */
    readonly alsoNeeds?: string
  },
): Promise<string> {
  const { name, what, alsoNeeds } = asked
  const { io, options } = context
  const refused = new KeyturnError(
    'confirmation_needed',
    `${what}: that needs the name '${name}' typed as confirmation`,
    {
      fix: `Add --confirm ${name}, or run it at a terminal and type the name.${alsoNeeds === undefined ? '' : ` ${alsoNeeds}`}`,
    },
  )
  const given = options.text('confirm')
  if (given !== undefined && given !== name) throw refused
  if (given !== undefined) return given
  if (!io.stdin.isTerminal) throw refused
  const answer = await io.stdin.ask(`${what}. Type the name '${name}' to go on: `)
  if (answer === undefined) {
    // Ctrl-C leaves the cursor behind the question.
    context.out.note('')
    throw new Interrupted('Nothing was done.')
  }
  if (answer.trim() !== name) throw refused
  return name
}

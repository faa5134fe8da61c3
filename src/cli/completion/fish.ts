import type { Offer } from '../command.ts'
import { type OptionEntry, places, valueOptions } from './tree.ts'

/** A script for fish 3 and newer. */
export function fishScript(): string {
  const rows = places().flatMap(({ at, commands, options, args }) => [
    ...commands.map(({ word, description }) =>
      rule(`${quoted(at)} 0`, `-a ${quoted(word)} -d ${quoted(description)}`),
    ),
    ...options.map((option) => rule(quoted(at), optionOf(option))),
    ...args.flatMap((offers, index) =>
      offers === undefined ? [] : [rule(`${quoted(at)} ${index}`, valuesOf(offers))],
    ),
  ])
  return `${head}
set -g __keyturn_places ${places()
    .map(({ at }) => quoted(at))
    .join(' ')}
set -g __keyturn_value_options ${valueOptions().join(' ')}
${body}
complete -c keyturn -f
${rows.join('\n')}
`
}

function rule(condition: string, rest: string): string {
  return `complete -c keyturn -n ${quoted(`__keyturn_at ${condition}`)} ${rest}`
}

function optionOf({ word, description, takesValue, offers }: OptionEntry): string {
  const long = `-l ${word.slice(2)} -d ${quoted(description)}`
  if (!takesValue) return long
  if (offers === undefined) return `${long} -x`
  return offers === 'files' ? `${long} -r -F` : `${long} -x ${valuesOf(offers)}`
}

function valuesOf(offers: Offer): string {
  if (offers === 'files') return '-F'
  return typeof offers === 'string' ? `-a '(__keyturn_values ${offers})'` : `-a ${quoted(offers.join(' '))}`
}

/** In fish, a backslash counts inside of single quotes. */
function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}

const head = `# Completion of keyturn for fish. For this shell: keyturn completion fish | source
# For every one: keyturn completion fish > ~/.config/fish/completions/keyturn.fish
`

/** Names come from a service: fish escapes what it inserts, and nothing expands them. */
const body = String.raw`
# The command that is being typed, then its arguments, one a line.
function __keyturn_line
    set -l at ''
    set -l places
    set -l option ''
    for word in (commandline -opc)[2..-1]
        if test -n "$option"
            set option ''
        else if string match -q -- '-*' "$word"
            contains -- "$word" $__keyturn_value_options
            and set option "$word"
        else
            set -l deeper (string trim -- "$at $word")
            if test (count $places) -eq 0
                and contains -- "$deeper" $__keyturn_places
                set at "$deeper"
            else
                set -a places "$word"
            end
        end
    end
    printf '%s\n' "$at" $places
end

# Whether this command is being typed, and, with a number, its argument at that place.
function __keyturn_at
    set -l line (__keyturn_line)
    test "$line[1]" = "$argv[1]"
    or return 1
    test (count $argv) -lt 2
    or test (math (count $line) - 1) -eq "$argv[2]"
end

function __keyturn_values
    set -l line (__keyturn_line)
    command keyturn completion values "$argv[1]" $line[2] 2>/dev/null </dev/null
end
`

import type { Offer } from '../command.ts'
import { type Entry, places, quoted, takesValue } from './tree.ts'

/** A script for zsh, to be sourced or as `_keyturn` in a folder of fpath. */
export function zshScript(): string {
  const rows = places().flatMap(({ at, commands, options, args }) => [
    described(`${at} ?`, options),
    ...(commands.length === 0 ? [] : [described(`${at} >`, commands)]),
    ...options.flatMap(({ word, offers }) => offered(`${at} ${word}`, offers)),
    ...args.flatMap((offers, index) => offered(`${at} ${index}`, offers)),
  ])
  return `${head}
_keyturn_offer() {
  offer=''
  offered=()
  case "$1" in
${rows.join('\n')}
  esac
}

${takesValue()}
${body}`
}

function described(key: string, entries: readonly Entry[]): string {
  const items = entries.map(({ word, description }) =>
    quoted(`${word.replaceAll(':', '\\:')}:${description}`),
  )
  return row(key, `offered=(${items.join(' ')})`)
}

function offered(key: string, offers: Offer | undefined): readonly string[] {
  if (offers === undefined) return []
  if (offers === 'files') return [row(key, 'offer=/')]
  return [row(key, typeof offers === 'string' ? `offer=@${offers}` : `offered=(${offers.join(' ')})`)]
}

function row(key: string, act: string): string {
  return `    ${quoted(key)}) ${act} ;;`
}

const head = `#compdef keyturn
# Completion of keyturn for zsh. For this shell, after compinit: source <(keyturn completion zsh)
# For every one: keyturn completion zsh > a file named _keyturn in a folder of fpath
`

/** Names come from a service: `compadd` quotes them, and nothing expands them. */
const body = String.raw`
_keyturn() {
  local at='' option='' offer='' word
  local -a offered places values
  local -i i
  for (( i = 2; i < CURRENT; i++ )); do
    word="${'$'}{(Q)words[i]}"
    if [[ -n "$option" ]]; then
      option=''
    elif [[ "$word" == -* ]]; then
      _keyturn_takes_value "$word" && option="$word"
    else
      _keyturn_offer "$at >"
      if (( ${'$'}{#places} == 0 && ${'$'}{offered[(I)$word:*]} )); then
        at="${'$'}{at:+$at }$word"
      else
        places+=("$word")
      fi
    fi
  done
  if [[ -z "$option" && "$PREFIX" == --*=* ]]; then
    option="${'$'}{PREFIX%%=*}"
    compset -P '*='
  fi
  if [[ -n "$option" ]]; then
    _keyturn_offer "$at $option"
  elif [[ "$PREFIX" == -* ]]; then
    _keyturn_offer "$at ?"
  else
    if (( ${'$'}{#places} == 0 )); then
      _keyturn_offer "$at >"
      (( ${'$'}{#offered} )) && _describe -t commands command offered
    fi
    _keyturn_offer "$at ${'$'}{#places}"
  fi
  (( ${'$'}{#offered} )) && _describe -t values value offered
  case "$offer" in
    /) _files ;;
    @*)
      values=("${'$'}{(@f)$(command keyturn completion values "${'$'}{offer#@}" "${'$'}{places[@]:0:1}" 2>/dev/null </dev/null)}")
      [[ -n "${'$'}{values[1]}" ]] && compadd -- "${'$'}{values[@]}"
      ;;
  esac
}

if [[ "${'$'}{funcstack[1]}" == _keyturn ]]; then
  _keyturn "$@"
else
  compdef _keyturn keyturn
fi
`

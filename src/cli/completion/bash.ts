import type { Offer } from '../command.ts'
import { places, quoted, takesValue } from './tree.ts'

/** A script for bash 3.2 and newer, without bash-completion. */
export function bashScript(): string {
  const rows = places().flatMap(({ at, commands, options, args }) => [
    row(`${at} ?`, `=${options.map(({ word }) => word).join(' ')}`),
    ...(commands.length === 0 ? [] : [row(`${at} >`, `=${commands.map(({ word }) => word).join(' ')}`)]),
    ...options.flatMap(({ word, offers }) => offered(`${at} ${word}`, offers)),
    ...args.flatMap((offers, index) => offered(`${at} ${index}`, offers)),
  ])
  return `${head}
_keyturn_offer() {
  case "$1" in
${rows.join('\n')}
    *) offer='' ;;
  esac
}

${takesValue()}
${body}`
}

function offered(key: string, offers: Offer | undefined): readonly string[] {
  if (offers === undefined) return []
  if (offers === 'files') return [row(key, '/')]
  return [row(key, typeof offers === 'string' ? `@${offers}` : `=${offers.join(' ')}`)]
}

function row(key: string, offer: string): string {
  return `    ${quoted(key)}) offer=${quoted(offer)} ;;`
}

const head = `# Completion of keyturn for bash. For this shell: source <(keyturn completion bash)
# For every one: keyturn completion bash > ~/.local/share/bash-completion/completions/keyturn
`

/**
 * Names come from a service, and a name may hold what bash would run: they are compared and quoted, never expanded. The line is
 * split here and not by bash, which would split names at colons.
 */
const body = String.raw`
_keyturn_add() {
  local shown
  printf -v shown '%q' "$1"
  if [[ "$shown" == "$cur"* || "$1" == "$cur"* ]]; then
    shown="$before$shown"
    COMPREPLY+=("${'$'}{shown#"$lead"}")
  fi
}

_keyturn() {
  COMPREPLY=()
  local line="${'$'}{COMP_LINE:0:COMP_POINT}" at='' option='' offer='' before='' lead='' cur word last value breaks
  local -a words places
  local -i i
  read -ra words <<<"$line"
  [[ "$line" == *[[:blank:]] ]] && words+=('')
  last=$(( ${'$'}{#words[@]} - 1 ))
  (( last >= 1 )) || return 0
  cur="${'$'}{words[last]}"
  places=()
  for (( i = 1; i < last; i++ )); do
    word="${'$'}{words[i]}"
    if [[ -n "$option" ]]; then
      option=''
    elif [[ "$word" == -* ]]; then
      _keyturn_takes_value "$word" && option="$word"
    else
      _keyturn_offer "$at >"
      if (( ${'$'}{#places[@]} == 0 )) && [[ " ${'$'}{offer#=} " == *" $word "* ]]; then
        at="${'$'}{at:+$at }$word"
      else
        places+=("$word")
      fi
    fi
  done
  # What stands before the last of these is not for completion to replace.
  for breaks in : = @; do
    [[ "$COMP_WORDBREAKS" == *"$breaks"* && "$cur" == *"$breaks"* ]] || continue
    word="${'$'}{cur%"$breaks"*}$breaks"
    (( ${'$'}{#word} > ${'$'}{#lead} )) && lead="$word"
  done
  if [[ -z "$option" && "$cur" == --*=* ]]; then
    option="${'$'}{cur%%=*}"
    before="$option="
    cur="${'$'}{cur#*=}"
  fi
  if [[ -n "$option" ]]; then
    _keyturn_offer "$at $option"
  elif [[ "$cur" == -* ]]; then
    _keyturn_offer "$at ?"
  else
    _keyturn_offer "$at ${'$'}{#places[@]}"
    value="$offer"
    offer=''
    (( ${'$'}{#places[@]} == 0 )) && _keyturn_offer "$at >"
    if [[ -n "$offer" ]]; then
      for word in ${'$'}{offer#=}; do _keyturn_add "$word"; done
    fi
    offer="$value"
  fi
  case "$offer" in
    =*)
      for word in ${'$'}{offer#=}; do _keyturn_add "$word"; done
      ;;
    /)
      type compopt >/dev/null 2>&1 && compopt -o filenames 2>/dev/null
      while IFS= read -r value; do COMPREPLY+=("$value"); done < <(compgen -f -- "$cur")
      ;;
    @*)
      while IFS= read -r value; do
        _keyturn_add "$value"
      done < <(command keyturn completion values "${'$'}{offer#@}" ${'$'}{places[0]+"${'$'}{places[0]}"} 2>/dev/null </dev/null)
      ;;
  esac
}

complete -F _keyturn keyturn
`

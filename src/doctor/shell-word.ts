/**
 * One word of a command that a person copies into a shell, whatever it holds: names of files, hosts and Secrets come from
 * whoever wrote the project, and a host may well be called `$(reboot)`.
 */
export function shellWord(text: string): string {
  if (/^[\w./:@%+=,[\]-]+$/.test(text) && !text.startsWith('-')) return text
  const safe = text.startsWith('-') ? `./${text}` : text
  return `'${safe.replaceAll("'", String.raw`'\''`)}'`
}

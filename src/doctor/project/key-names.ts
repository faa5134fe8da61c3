const meant =
  /open_?ai\w*?(?:key|token|secret)s?(?:_?(?:\d{1,2}|prod|production|dev|development|staging|test))?$/i

/** A name under which a key of OpenAI is meant; not the name of a file, or of a secret, that holds one. */
export function isKeyName(name: string): boolean {
  return meant.test(name.slice(0, 100).replaceAll(/[-.]/g, '_')) && !/azure|admin|webhook/i.test(name)
}

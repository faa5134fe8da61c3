export interface Instruction {
  readonly name: string
  readonly rest: string
}

/** The instructions of a Dockerfile, comments off, continued lines joined. */
export function instructionsOf(text: string): readonly Instruction[] {
  return text
    .replaceAll(/^\s*#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [name = '', ...rest] = line.trim().split(/\s+/)
      return { name: name.toUpperCase(), rest: rest.join(' ') }
    })
}

const isExec = (rest: string): boolean => /^\[".*"\]$/.test(rest)

/** What of a Dockerfile is not as it has to be for an image that holds secrets in memory. */
export function problemsOf(text: string): readonly string[] {
  const all = instructionsOf(text)
  const bases = all.filter(({ name }) => name === 'FROM').map(({ rest }) => rest.split(' ')[0] ?? '')
  const last = all.slice(all.findLastIndex(({ name }) => name === 'FROM') + 1)
  const of = (name: string): readonly string[] =>
    last.filter((one) => one.name === name).map(({ rest }) => rest)
  const found: string[] = []
  const base = all.find(({ name }) => name === 'ARG')?.rest
  // A default would be a digest that nobody keeps up to date.
  if (base !== 'BASE') found.push('BASE has a default')
  if (!all.some(({ name, rest }) => name === 'RUN' && rest.includes('*@sha256:*')))
    found.push('a base without digest is not refused')
  for (const name of bases)
    if (name !== '${BASE}' && name !== 'scratch' && !name.includes('@sha256:'))
      found.push(`${name} is not named by digest`)
  if (of('RUN').length > 0) found.push('the final stage runs commands, so it has a shell')
  if (!/^[1-9]\d*:[1-9]\d*$/.test(of('USER').at(-1) ?? ''))
    found.push('the user is not a number other than 0')
  for (const name of ['ENTRYPOINT', 'CMD'])
    if (!isExec(of(name).at(-1) ?? '')) found.push(`${name} is not in exec form`)
  const health = of('HEALTHCHECK').at(-1) ?? ''
  if (!isExec(health.replace(/^(?:--\S+ )*CMD /, ''))) found.push('HEALTHCHECK is not in exec form')
  for (const { name, rest } of all) {
    if (name === 'ADD') found.push('ADD fetches and unpacks')
    if ((name === 'ARG' || name === 'ENV') && /(?:KEY|TOKEN|SECRET|PASSWORD)=/i.test(rest))
      found.push(`${name} holds a secret`)
    if (name === 'COPY' && /(?:^|\s)\.(?:\s|$)/.test(rest.split(' ')[0] ?? ''))
      found.push('COPY takes the whole folder')
    if (name === 'RUN' && /\bnpm (?:ci|install)\b/.test(rest) && !rest.includes('--ignore-scripts'))
      found.push('scripts of packages run')
  }
  return found
}

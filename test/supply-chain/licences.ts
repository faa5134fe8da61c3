import type { Locked } from './lockfile.ts'

/** What may be shipped with Keyturn without more than a notice. */
export const permissive: readonly string[] = [
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'CC0-1.0',
  'ISC',
  'MIT',
  'MIT-0',
  'Unlicense',
]

/** What is only used to develop it may also have a licence that binds changes of the package itself. */
export const forDevelopment: readonly string[] = [...permissive, 'MPL-2.0']

/** A choice (`A OR B`) is fine where one of them is; of what applies together (`A AND B`) all must be. */
export function isAllowed(expression: string, allowed: readonly string[]): boolean {
  const bare = expression.replace(/^\((.*)\)$/, '$1')
  if (bare.includes(' OR ')) return bare.split(' OR ').some((part) => isAllowed(part, allowed))
  if (bare.includes(' AND ')) return bare.split(' AND ').every((part) => isAllowed(part, allowed))
  return allowed.includes(bare)
}

/** docs/licences.md; `npm run licences` writes it, and a test holds it against the lockfile. */
export function licencesDocument(packages: readonly Locked[]): string {
  const production = packages.filter(({ isProduction }) => isProduction)
  const others = packages.filter(({ isProduction }) => !isProduction)
  return [
    '# Licences of what Keyturn is built on',
    '',
    'Keyturn is under [Apache-2.0](../LICENSE). This list is made from `package-lock.json` by `npm run licences`; a test fails where it is',
    'not true any more, and where something that is installed with Keyturn has a licence that asks for more than a notice.',
    '',
    `## Installed with Keyturn (${production.length})`,
    '',
    ...table(production),
    '',
    `## For its development, and stores' SDKs that are installed by name (${others.length})`,
    '',
    ...table(others),
    '',
  ].join('\n')
}

function table(packages: readonly Locked[]): readonly string[] {
  return [
    '| package | version | licence |',
    '|---|---|---|',
    ...packages.map(({ name, version, licence }) => `| ${name} | ${version} | ${licence} |`),
  ]
}

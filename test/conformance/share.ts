/** A fifth of what is repeated many times in `npm test`, which people wait for; all of it in `npm run test:races`. */
export const share = process.env['KEYTURN_RACES'] === 'all' ? 1 : 0.2

/** How often a field of a document is turned beside another writer. */
export const turns = 100 * share

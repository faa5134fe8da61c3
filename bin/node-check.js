// Plain JavaScript that every Node with ES modules can parse: it says what is wrong before anything modern is loaded.
const least = [22, 19]

/**
 * What to tell the user of a Node that is too old, or undefined where it is new enough.
 *
 * @param {string} version as in process.versions.node
 * @returns {string | undefined}
 */
export function nodeProblem(version) {
  const parts = version.split('.').map(Number)
  const isEnough = parts[0] > least[0] || (parts[0] === least[0] && parts[1] >= least[1])
  if (isEnough) return undefined
  return (
    `error: keyturn needs Node ${least.join('.')} or newer; this is Node ${version}\n` +
    'fix:   Install a current Node (e.g. nvm install 24). In a clone, npm start and npx keyturn bring their own.\n'
  )
}

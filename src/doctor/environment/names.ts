/** The prefixes with which bundlers put a variable into what browsers load. */
const publicPrefix = /^(?:NEXT_PUBLIC_|VITE_|REACT_APP_|NUXT_PUBLIC_|GATSBY_|EXPO_PUBLIC_|VUE_APP_|PUBLIC_)/

export function isPublicName(name: string): boolean {
  return publicPrefix.test(name)
}

/** What people call it, without prefix, case and underscores. */
const known = new Set([
  'OPENAIKEY',
  'OPENAIAPIKEY',
  'OPENAITOKEN',
  'OPENAIAPITOKEN',
  'OPENAIACCESSTOKEN',
  'OPENAISECRET',
  'OPENAISECRETKEY',
  'OPENAIAPISECRET',
  'OPENAIAPISECRETKEY',
  'OPENAISECRETAPIKEY',
  'OPENAIAPI',
  'OPENAIAPIKEYS',
  'CHATGPTAPIKEY',
  'CHATGPTKEY',
  'GPTAPIKEY',
  'GPTKEY',
])
const generic = /^(?:MY|APP|THE|LLM|AI|DEV|PROD)?(?:API|SECRET|ACCESS|AUTH)?(?:KEY|TOKEN|SECRET)$/
const taken =
  /AZURE|ADMIN|WEBHOOK|ANTHROPIC|GEMINI|GOOGLE|GROQ|MISTRAL|DEEPSEEK|OPENROUTER|COHERE|KEYTURN|GITHUB|AWS/i

/** Names that mean something of their own. */
export function isTaken(name: string): boolean {
  return name === 'OPENAI_API_KEY' || taken.test(name)
}

/**
 * `likely`: nothing but an OpenAI key is called so. `possible`: it depends on what it holds. Undefined: it has nothing to do
 * with it, or is the right name.
 */
export function nearMiss(name: string): 'likely' | 'possible' | undefined {
  if (isTaken(name) || name.length > 60) return undefined
  const bare = name
    .replace(publicPrefix, '')
    .replaceAll(/[^A-Za-z0-9]/g, '')
    .toUpperCase()
  if (known.has(bare) || known.has(bare.replace(/^MY/, ''))) return 'likely'
  if (generic.test(bare) || distance(bare, 'OPENAIAPIKEY') <= 2) return 'possible'
  return undefined
}

const organizations = new Set([
  'OPENAIORG',
  'OPENAIORGANIZATION',
  'OPENAIORGANISATION',
  'OPENAIORGANIZATIONID',
  'OPENAIORGANISATIONID',
  'OPENAIORGKEY',
])
const projects = new Set(['OPENAIPROJECT', 'OPENAIPROJ', 'OPENAIPROJID', 'OPENAIPROJECTKEY'])

/** T39: the variable that the libraries read, where the name is one that they do not. */
export function meantAccountVariable(name: string): 'OPENAI_ORG_ID' | 'OPENAI_PROJECT_ID' | undefined {
  if (name === 'OPENAI_ORG_ID' || name === 'OPENAI_PROJECT_ID') return undefined
  const bare = name.replaceAll(/[^A-Za-z0-9]/g, '').toUpperCase()
  if (organizations.has(bare) || bare === 'OPENAIORGID') return 'OPENAI_ORG_ID'
  return projects.has(bare) || bare === 'OPENAIPROJECTID' ? 'OPENAI_PROJECT_ID' : undefined
}

/** How many characters are to be put in, taken out, changed or swapped to make one of the other. */
function distance(left: string, right: string): number {
  if (Math.abs(left.length - right.length) > 2) return 3
  const rows: number[][] = [Array.from({ length: right.length + 1 }, (_, index) => index)]
  const at = (row: number, column: number) => rows[row]?.[column] ?? Number.POSITIVE_INFINITY
  for (let row = 1; row <= left.length; row += 1) {
    rows[row] = [row]
    for (let column = 1; column <= right.length; column += 1) {
      const same = left[row - 1] === right[column - 1]
      const isSwap = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1]
      const ways = [
        at(row - 1, column) + 1,
        at(row, column - 1) + 1,
        at(row - 1, column - 1) + (same ? 0 : 1),
      ]
      rows[row]?.push(Math.min(...ways, isSwap ? at(row - 2, column - 2) + 1 : Number.POSITIVE_INFINITY))
    }
  }
  return at(left.length, right.length)
}

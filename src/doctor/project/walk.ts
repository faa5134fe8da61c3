import { closeSync, type Dirent, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { isWithin } from './within.ts'

export const filesMax = 20_000
export const fileBytesMax = 1_048_576
/** Folders and files together that are looked at, worth a look or not. */
const entriesMax = 200_000
const depthMax = 40
const sniffedBytes = 1_024

/** Written by installers, builds and tools; nobody edits it, so nothing in it is a cause. */
const skippedFolders = new Set(
  `node_modules bower_components jspm_packages .pnpm-store .yarn .git .hg .svn .venv venv virtualenv site-packages
  __pycache__ .tox .nox .eggs .mypy_cache .pytest_cache .ruff_cache .ipynb_checkpoints dist build .next .nuxt .output
  .svelte-kit .astro .turbo .parcel-cache .cache target vendor .gradle .terraform .serverless .aws-sam cdk.out .vercel
  .netlify .wrangler coverage .nyc_output htmlcov`.split(/\s+/),
)

/** Known to be no text, by the end of the name. */
const binary =
  /\.(?:png|jpe?g|gif|webp|avif|ico|bmp|tiff?|psd|pdf|zip|gz|tgz|bz2|xz|zst|7z|rar|jar|war|whl|exe|dll|so|dylib|a|o|obj|lib|class|pyc|pyo|wasm|node|bin|dat|db|sqlite3?|parquet|feather|npy|npz|pkl|pt|pth|onnx|gguf|safetensors|h5|mp[34]|wav|ogg|flac|mov|avi|mkv|webm|woff2?|ttf|otf|eot|docx?|xlsx?|pptx?|lockb|map)$/i

/** Known to be text, so that thousands of files need not be opened to be listed. */
const text =
  /\.(?:[cm]?[jt]sx?|vue|svelte|astro|pyi?|ipynb|rb|go|rs|java|kts?|scala|cs|fs|php|swift|dart|exs?|c|cc|cpp|h|hpp|sh|bash|zsh|fish|ps1|bat|ya?ml|json[5c]?|toml|ini|cfg|conf|env|properties|xml|html?|css|scss|less|md|mdx|rst|txt|csv|tsv|sql|graphql|proto|tf|tfvars|gradle|lock|service|svg|snap|mk|dockerfile)$/i

/**
 * The files under the folder that are worth a look, sorted. Folders near the top come first, so that a limit cuts off what
 * is deep. Links are not followed, but for a `.env` that is one to a file inside the folder.
 */
export function walk(folder: string): readonly string[] {
  const found: string[] = []
  let waiting: readonly string[] = ['']
  let entries = 0
  for (let depth = 0; depth <= depthMax && waiting.length > 0; depth += 1) {
    const next: string[] = []
    for (const parent of waiting) {
      if (found.length >= filesMax || entries >= entriesMax) return found.toSorted()
      const inside = entriesOf(join(folder, parent)).slice(0, entriesMax - entries)
      entries += inside.length
      // A virtual environment by any name.
      if (inside.some((entry) => entry.name === 'pyvenv.cfg')) continue
      for (const entry of inside) {
        const path = parent === '' ? entry.name : `${parent}/${entry.name}`
        if (entry.isDirectory()) {
          if (!skippedFolders.has(entry.name)) next.push(path)
        } else if (found.length < filesMax && isWorthALook(folder, path, entry)) found.push(path)
      }
    }
    waiting = next
  }
  return found.toSorted()
}

/** In the order of their names, whatever order the disk has. */
function entriesOf(folder: string): readonly Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).toSorted((left, right) =>
      left.name < right.name ? -1 : 1,
    )
  } catch {
    return []
  }
}

function isWorthALook(folder: string, path: string, entry: Dirent): boolean {
  const isDotenv = entry.name.startsWith('.env')
  if (entry.isSymbolicLink() ? !(isDotenv && isWithin(folder, path)) : !entry.isFile()) return false
  if (binary.test(entry.name)) return false
  const absolute = join(folder, path)
  try {
    const about = statSync(absolute)
    if (!about.isFile() || about.size > fileBytesMax) return false
    // A .env in UTF-16 has zeros in it, and that is a cause.
    return isDotenv || text.test(entry.name) || !hasZeros(absolute)
  } catch {
    return false
  }
}

function hasZeros(path: string): boolean {
  const file = openSync(path, 'r')
  try {
    const bytes = Buffer.alloc(sniffedBytes)
    return bytes.subarray(0, readSync(file, bytes, 0, sniffedBytes, 0)).includes(0)
  } finally {
    closeSync(file)
  }
}

// In the image, before `npm prune`: node production.ts [aws] [google] [azure]
// Makes package.json say what the image is installed with: what Keyturn needs, and the SDKs of the clouds that were named, in
// the versions that package-lock.json has. They are optional peers otherwise, and npm would leave them out or choose others.
import { readFileSync, writeFileSync } from 'node:fs'

const sdks: Readonly<Record<string, readonly string[]>> = {
  aws: ['@aws-sdk/client-secrets-manager'],
  google: ['@google-cloud/secret-manager'],
  azure: ['@azure/identity', '@azure/keyvault-secrets'],
}

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
  readonly [field: string]: unknown
}

const clouds = process.argv.slice(2)
const unknown = clouds.filter((cloud) => !Object.hasOwn(sdks, cloud))
if (unknown.length > 0) {
  process.stderr.write(
    `CLOUDS names ${unknown.join(', ')}: it takes any of ${Object.keys(sdks).join(', ')}, with spaces between.\n`,
  )
  process.exit(1)
}
const { dependencies, devDependencies, ...rest } = JSON.parse(
  readFileSync('package.json', 'utf8'),
) as Manifest
const kept = ['name', 'version', 'description', 'license', 'type', 'engines', 'exports']
const fields = Object.entries(rest).filter(([field]) => kept.includes(field))
const chosen = clouds.flatMap((cloud) => sdks[cloud] ?? []).map((name) => [name, devDependencies[name]])
const manifest = {
  ...Object.fromEntries(fields),
  dependencies: { ...dependencies, ...Object.fromEntries(chosen) },
}
writeFileSync('package.json', `${JSON.stringify(manifest, null, 2)}\n`)

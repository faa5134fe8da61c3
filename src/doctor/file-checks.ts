import type { Check } from './check.ts'
import { launches } from './launch/launches.ts'
import { platforms } from './launch/platforms.ts'
import { composeFiles } from './manifests/compose.ts'
import { dockerfiles } from './manifests/dockerfile.ts'
import { environments } from './manifests/environments.ts'
import { kubernetes } from './manifests/kubernetes.ts'
import { baseUrls } from './source/base-urls.ts'
import { browser } from './source/browser.ts'
import { clientLibrary } from './source/client-library.ts'
import { dotenvOrder } from './source/dotenv-order.ts'
import { keyValues } from './source/key-values.ts'
import { leakedKeys } from './source/leaked-keys.ts'
import { retired } from './source/retired.ts'

/** The checks of a project's sources, then those of its manifests. */
export const fileChecks: readonly Check[] = [
  keyValues,
  leakedKeys,
  browser,
  baseUrls,
  clientLibrary,
  dotenvOrder,
  retired,
  dockerfiles,
  composeFiles,
  kubernetes,
  environments,
  platforms,
  launches,
]

import type { Check } from './check.ts'
import { accountVariables } from './environment/account-variables.ts'
import { lines } from './environment/dotenv-lines.ts'
import { overridden } from './environment/dotenv-overridden.ts'
import { unloaded } from './environment/dotenv-unloaded.ts'
import { keyText } from './environment/key-text.ts'
import { misnamed } from './environment/misnamed.ts'
import { missing } from './environment/missing.ts'

/** The checks of the environment, then those of dotenv files. */
export const environmentChecks: readonly Check[] = [
  missing,
  misnamed,
  keyText,
  accountVariables,
  lines,
  unloaded,
  overridden,
]

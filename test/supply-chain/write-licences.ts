import { writeFileSync } from 'node:fs'
import { licencesDocument } from './licences.ts'
import { lockedPackages, readLockfile, repository } from './lockfile.ts'

writeFileSync(new URL('docs/licences.md', repository), licencesDocument(lockedPackages(readLockfile())))

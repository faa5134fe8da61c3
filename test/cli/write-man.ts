import { mkdirSync, writeFileSync } from 'node:fs'
import manifest from '../../package.json' with { type: 'json' }
import { manPage } from './man-page.ts'

const folder = new URL('../../man/', import.meta.url)
mkdirSync(folder, { recursive: true })
writeFileSync(new URL('keyturn.1', folder), manPage(manifest.version))

import { storeSuite } from '../conformance/store-suite.ts'
import { startGoogle } from './fakes/google-place.ts'

const tooLarge = {
  'keeps unicode and 64 KiB whole, and a newline at the end does no harm':
    'a key of 64 KiB has no room beside the name of its field, and is staged as the document that it will be',
}

for (const format of ['plain', 'json'] as const)
  storeSuite(
    `google-secret-manager (read by an alias, ${format})`,
    async () => {
      const place = await startGoogle({ consumers: 'alias', alias: 'live', format })
      return {
        store: await place.open(),
        ref: 'openai',
        absentRef: 'nowhere',
        another: () => place.open(),
        logged: () => place.context.lines.join('\n'),
        cleanUp: () => place.end(),
      }
    },
    { isWritable: true, skips: format === 'json' ? tooLarge : {} },
  )

import { storeSuite } from '../conformance/store-suite.ts'
import { startGoogle } from './fakes/google-place.ts'

storeSuite(
  'google-secret-manager',
  async () => {
    const place = await startGoogle()
    return {
      store: await place.open(),
      ref: 'openai',
      absentRef: 'nowhere',
      another: () => place.open(),
      logged: () => place.context.lines.join('\n'),
      cleanUp: () => place.end(),
    }
  },
  { isWritable: true, skips: {} },
)

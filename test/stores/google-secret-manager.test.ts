import { storeSuite } from '../conformance/store-suite.ts'
import { startGoogle } from './fakes/google-place.ts'

const shared = 'projects/team-1/secrets/shared'

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

storeSuite(
  "google-secret-manager (a field of other people's JSON, by its full name)",
  async () => {
    const place = await startGoogle({ format: 'json', field: 'api_key' })
    place.fake.put('shared', JSON.stringify({ host: 'db.example.com', deep: { list: [1] } }))
    return {
      store: await place.open(),
      ref: shared,
      absentRef: 'projects/team-1/secrets/nowhere',
      another: () => place.open(),
      logged: () => place.context.lines.join('\n'),
      cleanUp: () => place.end(),
    }
  },
  { isWritable: true, skips: {} },
)

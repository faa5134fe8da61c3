import { storeSuite } from '../conformance/store-suite.ts'
import { startKubernetes } from './fakes/kubernetes-place.ts'

storeSuite(
  'kubernetes',
  async () => {
    const place = await startKubernetes()
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
  "kubernetes (a key of other people's Secret, in a namespace by name)",
  async () => {
    const place = await startKubernetes()
    place.fake.put('shared', { host: 'db.example.com', 'tls.key': 'theirs' }, { type: 'example.com/theirs' })
    return {
      store: await place.open({ key: 'OPENAI_API_KEY' }),
      ref: 'apps/shared',
      absentRef: 'apps/nowhere',
      another: () => place.open({ key: 'OPENAI_API_KEY' }),
      logged: () => place.context.lines.join('\n'),
      cleanUp: () => place.end(),
    }
  },
  { isWritable: true, skips: {} },
)

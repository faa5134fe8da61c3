import { storeSuite } from '../conformance/store-suite.ts'
import { startVault } from './fakes/vault-place.ts'

storeSuite(
  'vault',
  async () => {
    const place = await startVault()
    return {
      store: await place.open(),
      ref: 'team/openai',
      absentRef: 'nowhere',
      another: () => place.open(),
      logged: () => place.context.lines.join('\n'),
      cleanUp: () => place.end(),
    }
  },
  { isWritable: true, skips: {} },
)

storeSuite(
  "vault (a field of other people's document)",
  async () => {
    const place = await startVault()
    place.fake.put('openai', { host: 'db.example.com', port: 5432, nested: { deep: ['kept'] } })
    return {
      store: await place.open({ field: 'openai' }),
      ref: 'openai',
      absentRef: 'nowhere',
      another: () => place.open({ field: 'openai' }),
      logged: () => place.context.lines.join('\n'),
      cleanUp: () => place.end(),
    }
  },
  { isWritable: true, skips: {} },
)

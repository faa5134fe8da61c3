import { storeSuite } from '../conformance/store-suite.ts'
import { openAws, startAws } from './fakes/aws-place.ts'

storeSuite(
  'aws-secrets-manager',
  async () => {
    const place = await startAws()
    place.fake.secrets.set('openai', { versions: new Map(), tags: new Map() })
    return {
      store: await openAws(place),
      ref: 'openai',
      absentRef: 'nowhere',
      another: () => openAws(place),
      logged: () => place.context.lines.join('\n'),
      cleanUp: () => place.end(),
    }
  },
  { isWritable: true, skips: {} },
)

storeSuite(
  'aws-secrets-manager (JSON field)',
  async () => {
    const place = await startAws()
    return {
      store: await openAws(place, { format: 'json', field: 'key', createIfAbsent: true }),
      ref: 'team/openai',
      absentRef: 'nowhere',
      another: () => openAws(place, { format: 'json', field: 'key', createIfAbsent: true }),
      logged: () => place.context.lines.join('\n'),
      cleanUp: () => place.end(),
    }
  },
  {
    isWritable: true,
    skips: {
      'keeps unicode and 64 KiB whole, and a newline at the end does no harm':
        'the document around the key takes some of the 64 KiB',
    },
  },
)

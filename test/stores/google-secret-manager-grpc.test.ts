import { storeSuite } from '../conformance/store-suite.ts'
import type { GoogleFake } from './fakes/google-fake.ts'
import { startGoogleGrpcFake } from './fakes/google-fake-grpc.ts'
import { startGoogle } from './fakes/google-place.ts'

storeSuite(
  'google-secret-manager (gRPC, without the permission to make secrets)',
  async () => {
    const place = await startGoogle({ transport: 'grpc', createIfAbsent: false }, startGoogleGrpcFake)
    makeBoth(place.fake)
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

function makeBoth(fake: GoogleFake): void {
  fake.make('openai')
  fake.make('openai-keyturn')
  fake.deny('secretmanager.secrets.create')
}

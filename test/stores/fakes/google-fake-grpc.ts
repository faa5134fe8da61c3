import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import * as grpc from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import type { GoogleFake } from './google-fake.ts'
import { createGoogleState, idOf, type Message, Refusal, subjectOf } from './google-fake-state.ts'
import { createFaults, type HttpFaultKind } from './http-faults.ts'

const require = createRequire(import.meta.url)
/** `build/protos` of a package whose main file is in `build/src`. */
const protosOf = (from: NodeJS.Require, name: string): string =>
  join(dirname(from.resolve(name)), '..', 'protos')

/** The definitions that the SDK itself was made from, with those of the libraries beside them. */
function loadService(): grpc.ServiceDefinition {
  const sdk = protosOf(require, '@google-cloud/secret-manager')
  const gax = protosOf(createRequire(join(sdk, 'any')), 'google-gax')
  const definitions = loadSync('google/cloud/secretmanager/v1/service.proto', {
    includeDirs: [sdk, gax],
    longs: String,
    enums: String,
  })
  return definitions['google.cloud.secretmanager.v1.SecretManagerService'] as grpc.ServiceDefinition
}

let service: grpc.ServiceDefinition | undefined

/** The state of google-fake-state.ts behind gRPC. */
export async function startGoogleGrpcFake(): Promise<GoogleFake> {
  service ??= loadService()
  const faults = createFaults()
  const requests: string[] = []
  const server = new grpc.Server()

  const handle =
    (rpc: string): grpc.handleUnaryCall<Message, Message> =>
    (call, callback) =>
      void answer(rpc, call, callback)
  const answer = async (
    rpc: string,
    call: grpc.ServerUnaryCall<Message, Message>,
    callback: grpc.sendUnaryData<Message>,
  ): Promise<void> => {
    const message = call.request
    const line = `${rpc} ${idOf(subjectOf(rpc, message))}`
    requests.push(line)
    await fake.onRequest(line)
    const fault = faults.take(line)
    if (fault === 'hang') return
    if (fault !== undefined && fault !== 'lost' && fault !== 'broken')
      return callback({ code: codeOf(fault), details: 'as the test asked' })
    try {
      if (fake.needsToken && call.metadata.get('authorization').length === 0)
        throw new Refusal(16, 'Request is missing required authentication credential.')
      const answered = encode(fake.call(rpc, message)) as Message
      if (fault === 'broken') callback({ code: grpc.status.UNAVAILABLE, details: 'Connection dropped' })
      else if (fault === undefined) callback(null, answered)
    } catch (thrown) {
      if (!(thrown instanceof Refusal)) throw thrown
      if (fault === undefined) callback({ code: thrown.code, details: thrown.message })
    }
  }
  server.addService(service, Object.fromEntries(Object.keys(service).map((rpc) => [rpc, handle(rpc)])))
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) =>
    error === null ? resolve(port) : reject(error),
  )
  const fake: GoogleFake = {
    ...createGoogleState(),
    ...faults,
    endpoint: `http://127.0.0.1:${await promise}`,
    requests,
    onRequest: () => undefined,
    needsToken: false,
    async close() {
      server.forceShutdown()
    },
  }
  return fake
}

/** What a client of gRPC sees where one of REST sees this. */
function codeOf(fault: HttpFaultKind): grpc.status {
  if (fault === 429) return grpc.status.RESOURCE_EXHAUSTED
  if (fault === 403) return grpc.status.PERMISSION_DENIED
  if (fault === 401) return grpc.status.UNAUTHENTICATED
  return fault === 500 ? grpc.status.INTERNAL : grpc.status.UNAVAILABLE
}

function encode(value: unknown, key = ''): unknown {
  if (Buffer.isBuffer(value) || typeof value !== 'object' || value === null) {
    if (key.endsWith('Time') && typeof value === 'number')
      return { seconds: String(Math.floor(value / 1_000)), nanos: (value % 1_000) * 1_000_000 }
    return value
  }
  if (Array.isArray(value)) return value.map((each) => encode(each))
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, encode(each, name)]))
}

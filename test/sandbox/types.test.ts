// The answers of the sandbox have the types that the official SDK declares. `tsc` does the work: an assignment that
// does not fit fails the type check.

import type OpenAI from 'openai'
import { expectTypeOf, test } from 'vitest'
import type { auditView, costsView, rateLimitView, spendView } from '../../src/sandbox/admin-insight.ts'
import type { chunkView, completionView } from '../../src/sandbox/chat.ts'
import type { envelope } from '../../src/sandbox/errors.ts'
import type { modelView } from '../../src/sandbox/models.ts'
import type { responseEvents, responseView } from '../../src/sandbox/responses.ts'
import type * as views from '../../src/sandbox/views.ts'

type Organization = OpenAI['admin']['organization']
type Answer<T extends (...input: never[]) => PromiseLike<unknown>> = Awaited<ReturnType<T>>
type Numbered<T> = T extends unknown ? T & { sequence_number: number } : never
/** What the SDK adds to a response on its side. */
type Added = 'output_text'
type WithoutAdded<T> = T extends { response: OpenAI.Responses.Response }
  ? Omit<T, 'response'> & { response: Omit<OpenAI.Responses.Response, Added> }
  : T

test('inference answers have the declared types', () => {
  expectTypeOf<ReturnType<typeof modelView>>().toExtend<OpenAI.Model>()
  expectTypeOf<ReturnType<typeof completionView>>().toExtend<OpenAI.ChatCompletion>()
  expectTypeOf<ReturnType<typeof chunkView>>().toExtend<OpenAI.ChatCompletionChunk>()
  expectTypeOf<ReturnType<typeof responseView>>().toExtend<Omit<OpenAI.Responses.Response, Added>>()
  expectTypeOf<Numbered<ReturnType<typeof responseEvents>[number]>>().toExtend<
    WithoutAdded<OpenAI.Responses.ResponseStreamEvent>
  >()
  expectTypeOf<ReturnType<typeof envelope>['error']>().toExtend<OpenAI.ErrorObject>()
})

test('admin answers have the declared types', () => {
  type Projects = Organization['projects']
  type Accounts = Projects['serviceAccounts']
  expectTypeOf<ReturnType<typeof views.projectView>>().toExtend<Answer<Projects['retrieve']>>()
  expectTypeOf<ReturnType<typeof views.serviceAccountView>>().toExtend<Answer<Accounts['retrieve']>>()
  expectTypeOf<ReturnType<typeof views.newServiceAccountView>>().toExtend<Answer<Accounts['create']>>()
  expectTypeOf<ReturnType<typeof views.mintedKeyView>>().toExtend<Answer<Accounts['apiKeys']['create']>>()
  expectTypeOf<ReturnType<typeof views.projectKeyView>>().toExtend<Answer<Projects['apiKeys']['retrieve']>>()
  expectTypeOf<ReturnType<typeof views.adminKeyView>>().toExtend<
    Answer<Organization['adminAPIKeys']['retrieve']>
  >()
  expectTypeOf<ReturnType<typeof views.newAdminKeyView>>().toExtend<
    Answer<Organization['adminAPIKeys']['create']>
  >()
  expectTypeOf<ReturnType<typeof rateLimitView>>().toExtend<
    Answer<Projects['rateLimits']['updateRateLimit']>
  >()
  type Spend = Answer<Projects['spendLimit']['retrieve']>
  expectTypeOf<ReturnType<typeof spendView>>().toExtend<Omit<Spend, 'object'>>()
  type Costs = Answer<Organization['usage']['costs']>['data'][number]
  expectTypeOf<ReturnType<typeof costsView>>().toExtend<Costs>()
  type Log = Answer<Organization['auditLogs']['list']>['data'][number]
  expectTypeOf<ReturnType<typeof auditView>['effective_at']>().toExtend<Log['effective_at']>()
})

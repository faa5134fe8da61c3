import { inspectKeyShape, inspectSecret } from '../../core/key-inspection.ts'
import type { Finding } from '../finding.ts'
import { lookAtBaseUrl } from '../probe/base-url.ts'
import { isAside } from '../project/aside.ts'
import { type Look, projectCheck } from '../project/project-check.ts'
import type { ClientCall, ClientOption } from '../project/project-facts.ts'

/** Base URLs that the source hands to a client of OpenAI. */
export const baseUrls = projectCheck('base URLs in source', (look) =>
  look.project.clients
    .filter((client) => !isAside(client.source.path) && !isAzure(client))
    .flatMap((client) =>
      client.options
        .filter(({ name }) => name === 'baseurl')
        .flatMap((option) => judge(look, client, option)),
    ),
)

function judge(look: Look, client: ClientCall, { value, place }: ClientOption): readonly Finding[] {
  if (value.kind !== 'literal' || !/^https?:/i.test(value.text)) return []
  const key = client.options.find(({ name }) => name === 'apikey')?.value
  const isOfOpenAI =
    key === undefined || key.kind === 'nothing' || (key.kind === 'variable' && key.name === 'OPENAI_API_KEY')
  const provider = key?.kind === 'literal' ? inspectKeyShape(key.text).provider : providerOf(look)
  const { finding } = lookAtBaseUrl({ value: value.text, place }, provider)
  if (finding === undefined) return []
  // Another variable's key is that provider's own; with an unknown one, only what is wrong whoever's key it is counts.
  const isOpenAIsHost = /^https?:\/\/(?:[a-z]+\.)?api\.openai\.com/i.test(value.text)
  return isOfOpenAI || isOpenAIsHost ? [finding] : []
}

/** Whose key it is that the environment or a `.env` has. */
function providerOf({ facts }: Look): string | undefined {
  return facts.key === undefined ? undefined : inspectSecret(facts.key.text).provider
}

/** Its own client, or the older library told so. */
function isAzure(client: ClientCall): boolean {
  return (
    /azure/i.test(client.name) ||
    client.options.some(({ name }) => /^(?:azure|apiversion|defaultquery)/.test(name)) ||
    /api_type\s{0,5}=\s{0,5}["']azure/i.test(client.source.text)
  )
}

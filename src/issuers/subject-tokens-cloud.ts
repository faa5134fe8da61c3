import { isRecord } from '../core/json.ts'
import { type OneAnswer, requestOnce } from './request-once.ts'
import {
  type AzureSource,
  type GoogleSource,
  type SubjectToken,
  type SubjectTokenContext,
  subjectTokenCharactersMax,
  tokenIn,
} from './subject-token.ts'

/** Link-local: what answers there is the machine's own hypervisor, so plain HTTP is what both clouds document. */
const azureEndpoint = 'http://169.254.169.254'
const azureVersion = '2018-02-01'
const googleEndpoint = 'http://metadata.google.internal'

/** https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token, November 2026. */
export async function azureToken(source: AzureSource, context: SubjectTokenContext): Promise<SubjectToken> {
  const url = new URL('/metadata/identity/oauth2/token', source.endpoint ?? azureEndpoint)
  const { resource, clientId, objectId, resourceId } = source
  const asked = {
    'api-version': azureVersion,
    resource,
    client_id: clientId,
    object_id: objectId,
    msi_res_id: resourceId,
  }
  for (const [name, value] of Object.entries(asked))
    if (value !== undefined) url.searchParams.set(name, value)
  const answer = await ask(url, { metadata: 'true' }, context)
  const fix =
    'Give this machine a managed identity, name it where it has several (identity.subjectToken.azure), and check resource.'
  if (answer.kind === 'no_answer' || answer.status !== 200)
    return refused('Azure’s metadata service', answer, fix)
  return tokenIn(accessTokenIn(answer.text), { where: 'The answer of Azure’s metadata service', fix })
}

/** https://cloud.google.com/compute/docs/instances/verifying-instance-identity, November 2026. */
export async function googleToken(source: GoogleSource, context: SubjectTokenContext): Promise<SubjectToken> {
  const path = '/computeMetadata/v1/instance/service-accounts/default/identity'
  const url = new URL(path, source.endpoint ?? googleEndpoint)
  url.searchParams.set('audience', source.audience)
  url.searchParams.set('format', 'full')
  const answer = await ask(url, { 'metadata-flavor': 'Google' }, context)
  const fix =
    'Run with a service account attached (GKE: Workload Identity for this namespace and account), and check audience.'
  if (answer.kind === 'no_answer' || answer.status !== 200)
    return refused('Google’s metadata server', answer, fix)
  // A captive portal or a proxy answers 200 as well, but not with this header.
  if (answer.headers.get('metadata-flavor') !== 'Google')
    return refused('Google’s metadata server', { ...answer, status: 0 }, fix)
  return tokenIn(answer.text, { where: 'The answer of Google’s metadata server', fix })
}

function ask(
  url: URL,
  headers: Readonly<Record<string, string>>,
  { timeoutMs, signal, ...context }: SubjectTokenContext,
): Promise<OneAnswer> {
  const bodyBytesMax = subjectTokenCharactersMax * 2
  return requestOnce({ method: 'GET', url: url.href, headers, timeoutMs, bodyBytesMax, signal }, context)
}

function accessTokenIn(text: string): string {
  try {
    const body: unknown = JSON.parse(text)
    const token = isRecord(body) ? body['access_token'] : undefined
    return typeof token === 'string' ? token : ''
  } catch {
    return ''
  }
}

function refused(who: string, answer: OneAnswer, fix: string): SubjectToken {
  const isAway = answer.kind === 'no_answer'
  const summary = isAway
    ? `${who} cannot be reached (${answer.failure}).`
    : answer.status === 0
      ? `What answers in place of ${who} is not it.`
      : `${who} answered ${answer.status} and gave no identity token.`
  return { kind: 'problem', problem: { summary, fix } }
}

import type { PermissionFinding } from '../core/ports.ts'
import type { Observation } from '../core/types.ts'
import { classify } from '../core/verdict.ts'
import { accountId } from './openai-account.ts'
import type { AdminCall } from './openai-admin.ts'
import { listAll, text } from './openai-listing.ts'
import type { AccountName } from './openai-options.ts'
import type { WireAnswer } from './openai-wire.ts'

const readPermission = 'api.management.read'
const writePermission = 'api.management.write'
/** A key that cannot exist, because OpenAI's ids have no such form. */
export const absentKey = 'key_keyturn_probe_absent'

/**
 * What a rotation needs, proven without changing anything: reads of project, keys and service account, and one update of
 * a key that does not exist, which is refused for lack of permission or for lack of the key.
 */
export async function checkPermissions(
  call: AdminCall,
  forSpare: boolean,
): Promise<readonly PermissionFinding[]> {
  const { wire, minting, project } = call
  const projectAnswer = await wire.send({ ...call, method: 'GET', path: project })
  const [keys, accounts, spares, write] = await Promise.all([
    wire.send({ ...call, method: 'GET', path: `${project}/api_keys?owner_project_access=any&limit=1` }),
    minting.mode === 'service_account_key' ? checkAccount(call, minting.account) : [],
    minting.mode === 'service_account_key' && forSpare ? checkStandby(call) : [],
    wire.send({
      ...call,
      method: 'POST',
      path: `${project}/api_keys/${absentKey}`,
      body: { expires_in_seconds: 1 },
    }),
  ])
  return [
    projectFinding(projectAnswer, minting.projectId),
    readFinding(keys, `keys of ${minting.projectId}`),
    ...accounts,
    ...spares,
    writeFinding(write, `keys of ${minting.projectId}`),
  ]
}

function projectFinding(answer: WireAnswer, projectId: string): PermissionFinding {
  const resource = `project ${projectId}`
  const { body } = answer
  if (body === undefined) return readFinding(answer, resource)
  const missing = (fix: string): PermissionFinding => ({
    permission: readPermission,
    resource,
    state: 'missing',
    fix,
  })
  const isActive = (body['status'] ?? 'active') === 'active' && (body['archived_at'] ?? null) === null
  if (!isActive) return missing('The project is archived: configure an active one.')
  // OpenAI marks it by nothing but its name (help article 9186755, November 2026).
  if (/^default project$/i.test(text(body['name']) ?? ''))
    return missing('The Default project cannot hold service accounts: create a project and configure its id.')
  return { permission: readPermission, resource, state: 'granted' }
}

export function readFinding(answer: WireAnswer, resource: string): PermissionFinding {
  if (answer.body !== undefined) return { permission: readPermission, resource, state: 'granted' }
  return refusal(answer.observation, { permission: readPermission, resource })
}

/** The account for spares, which must be another one than that of all other keys. */
async function checkStandby(call: AdminCall): Promise<readonly PermissionFinding[]> {
  const { account, standby } = call.minting
  const fix = 'Make a second service account in the project and name it in the issuer: standbyServiceAccount.'
  const missing = {
    permission: readPermission,
    resource: 'service account for spare keys',
    state: 'missing',
    fix,
  } as const
  if (standby === undefined) return [missing]
  const findings = await checkAccount(call, standby)
  if (findings.some((one) => one.state !== 'granted')) return findings
  const isSame = (await accountId(call, standby)) === (await accountId(call, account))
  return isSame ? [missing] : findings
}

async function checkAccount(
  call: AdminCall,
  { id, name }: AccountName,
): Promise<readonly PermissionFinding[]> {
  const resource = `service account ${id ?? name ?? ''}`
  const place = { permission: readPermission, resource }
  if (id !== undefined) {
    const path = `${call.project}/service_accounts/${id}`
    const answer = await call.wire.send({ ...call, method: 'GET', path })
    if (answer.body === undefined) return [refusal(answer.observation, place)]
    return [roleFinding(answer.body, place)]
  }
  const listed = await listAll(call.wire, { ...call, path: `${call.project}/service_accounts` })
  if (listed.kind === 'failed') return [refusal(listed.observation, place)]
  const found = listed.entries.filter((entry) => entry['name'] === name)
  const [only] = found
  if (only !== undefined && found.length === 1) return [roleFinding(only, place)]
  const fix =
    found.length === 0
      ? 'Create a service account of this name in the project, or configure the id of another one.'
      : 'Several service accounts have this name: configure the id of the one that is meant.'
  return [{ ...place, state: 'missing', fix }]
}

function roleFinding(
  account: Readonly<Record<string, unknown>>,
  place: { readonly permission: string; readonly resource: string },
): PermissionFinding {
  return account['role'] === 'none'
    ? { ...place, state: 'missing', fix: 'Give the service account the role Member in the project.' }
    : { ...place, state: 'granted' }
}

export function writeFinding({ observation, sentence }: WireAnswer, resource: string): PermissionFinding {
  const place = { permission: writePermission, resource }
  if (sentence === 'invalid_url')
    return { ...place, state: 'untested', fix: 'This API cannot change keys: rotate without managed expiry.' }
  // Refused for the key alone: permissions were looked at before. ASSUMPTION: as everywhere in the API.
  const isGranted =
    observation.kind === 'answer' && observation.isIssuers && [400, 404].includes(observation.status)
  if (isGranted) return { ...place, state: 'granted' }
  return refusal(observation, place)
}

/** Missing only where the issuer itself says so; everything else leaves it untested. */
function refusal(
  observation: Observation,
  place: { readonly permission: string; readonly resource: string },
): PermissionFinding {
  const verdict = classify(observation)
  if (verdict.kind === 'rejected')
    return { ...place, state: 'missing', fix: 'OpenAI does not accept the admin key: put a working one in.' }
  if (verdict.kind === 'restricted')
    return {
      ...place,
      state: 'missing',
      fix: `Give the admin key ${place.permission} (Organization Administration: Write), and check that it is an admin key.`,
    }
  if (observation.kind === 'answer' && observation.isIssuers && observation.status === 404)
    return {
      ...place,
      state: 'missing',
      fix: `There is no ${place.resource} in the organisation of the admin key: check the id.`,
    }
  if (verdict.kind === 'blocked' || verdict.kind === 'misconfigured')
    return { ...place, state: 'missing', fix: verdict.fix }
  return { ...place, state: 'untested', fix: `${verdict.summary} ${verdict.fix}` }
}

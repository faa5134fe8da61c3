import { isRecord } from '../core/json.ts'
import type { Inventory, InventoryKey } from '../core/ports.ts'
import { isRedacted } from '../core/redacted.ts'
import type { Secret } from '../core/secret.ts'
import { issuedKey, listAll, text } from './openai-listing.ts'
import type { Wire } from './openai-wire.ts'

/** Projects that are listed at once. */
const atOnceMax = 4

type Entry = Readonly<Record<string, unknown>>
type Gap = Inventory['gaps'][number]
interface Part {
  readonly keys: readonly InventoryKey[]
  readonly gaps: readonly Gap[]
}

/**
 * Every key that the admin key can see: of every project that is not archived, every page, whatever access its owner has,
 * and the admin keys. What cannot be listed is a gap, and keeps nothing else from being shown.
 */
export async function takeInventory(wire: Wire, secret: Secret, projectId: string): Promise<Inventory> {
  const projects = await listOf(wire, secret, '/organization/projects')
  const gaps: readonly Gap[] =
    projects.kind === 'listed' ? [] : [{ what: 'the projects', observation: projects.observation }]
  // Where projects cannot be listed there is the one that keys are minted in.
  const named = projects.kind === 'listed' ? projects.entries.map(projectOf) : [{ id: projectId, name: '' }]
  const parts: Part[] = []
  for (let first = 0; first < named.length; first += atOnceMax)
    parts.push(
      ...(await Promise.all(
        named.slice(first, first + atOnceMax).map((project) => keysOf(wire, secret, project)),
      )),
    )
  parts.push(await adminKeys(wire, secret))
  return { keys: parts.flatMap(({ keys }) => keys), gaps: [...gaps, ...parts.flatMap((part) => part.gaps)] }
}

async function keysOf(
  wire: Wire,
  secret: Secret,
  project: NonNullable<InventoryKey['project']>,
): Promise<Part> {
  const path = `/organization/projects/${encodeURIComponent(project.id)}/api_keys`
  const listed = await listOf(wire, secret, path, { owner_project_access: 'any' })
  if (listed.kind === 'failed')
    return {
      keys: [],
      gaps: [{ what: `the keys of project ${project.id}`, observation: listed.observation }],
    }
  return { keys: listed.entries.map((entry) => ({ ...keyOf(entry), kind: 'project', project })), gaps: [] }
}

async function adminKeys(wire: Wire, secret: Secret): Promise<Part> {
  const listed = await listOf(wire, secret, '/organization/admin_api_keys')
  if (listed.kind === 'failed')
    return { keys: [], gaps: [{ what: 'the admin keys', observation: listed.observation }] }
  return { keys: listed.entries.map((entry) => ({ ...keyOf(entry), kind: 'admin' })), gaps: [] }
}

/** Each list has the whole timeout: an organisation may have many projects. */
async function listOf(
  wire: Wire,
  secret: Secret,
  path: string,
  query: Readonly<Record<string, string>> = {},
) {
  const deadline = wire.deadline()
  try {
    return await listAll(wire, { path, query, secret, deadline })
  } finally {
    deadline.end()
  }
}

function projectOf(entry: Entry): NonNullable<InventoryKey['project']> {
  return { id: text(entry['id']) ?? '', name: text(entry['name']) ?? '' }
}

function keyOf(entry: Entry): Omit<InventoryKey, 'kind'> {
  const key = issuedKey(entry)
  const owner = isRecord(entry['owner']) ? entry['owner'] : {}
  const holder = [owner['service_account'], owner['user'], owner].find(isRecord)
  const ownerName = text(holder?.['name'])
  // OpenAI shows a few characters of both ends. Should anything ever show more, it goes no further.
  const redacted = isRedacted(key.redacted) ? key.redacted : ''
  return { ...key, redacted, ...(ownerName === undefined ? {} : { ownerName }) }
}

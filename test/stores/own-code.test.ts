import { chmod, chown, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { openStore } from '../../src/stores/index.ts'
import { failure } from '../conformance/store-suite-support.ts'
import { testContext } from './fakes/system.ts'

const root = join(import.meta.dirname, '..', '..')
let base = ''

beforeAll(async () => {
  const parent = join(root, '.vitest')
  await mkdir(parent, { recursive: true })
  base = await mkdtemp(join(parent, 'own-code-'))
})
afterAll(() => rm(base, { recursive: true, force: true }))

const code = (path: string): string =>
  `(globalThis.keyturnRan ??= []).push(${JSON.stringify(path)}); export const openStore = () => ({})`

/** A folder of that mode: folders of a test begin closed, whatever the umask is. */
async function folderOf(parent: string, name: string, mode: number): Promise<string> {
  const path = join(parent, name)
  await mkdir(path, { recursive: true })
  await chmod(path, mode)
  return path
}

async function moduleIn(folder: string): Promise<string> {
  const path = join(folder, 'store.mjs')
  await writeFile(path, code(path), { mode: 0o600 })
  return path
}

/** Nothing of what is refused for who may write to it may have run. */
async function refusal(path: string) {
  const refused = await failure(openStore({ kind: 'module', path }, testContext('.')))
  if (refused.code === 'permissions_lax')
    expect(Reflect.get(globalThis, 'keyturnRan') ?? []).not.toContain(path)
  return refused
}

it('takes a module out of no sticky folder, where others may put a package.json beside it', async () => {
  const refused = await refusal(await moduleIn(await folderOf(base, 'sticky', 0o1777)))
  expect(refused).toMatchObject({ code: 'permissions_lax', message: expect.stringContaining('sticky') })
  expect(refused.fix).toContain('a folder of its own')
})

it.each([0o777, 0o775, 0o757])(
  'refuses a folder further up of mode %o, and says so of volumes',
  async (mode) => {
    const open = await folderOf(base, `open-${mode.toString(8)}`, mode)
    const inner = await folderOf(await folderOf(open, 'mine', 0o700), 'deeper', 0o700)
    await writeFile(join(inner, 'package.json'), '{}')
    const refused = await refusal(await moduleIn(inner))
    expect(refused).toMatchObject({
      code: 'permissions_lax',
      message: expect.stringContaining(`${open},`),
      fix: expect.stringContaining(`chmod go-w '${open}'`),
    })
    expect(refused.fix?.includes('subPath')).toBe(mode === 0o777)
  },
)

it('below a sticky folder a module needs a package.json of its own', async () => {
  const sticky = await folderOf(base, 'sticky-above', 0o1777)
  const inner = await folderOf(sticky, 'mine', 0o700)
  const path = await moduleIn(inner)
  const refused = await refusal(path)
  expect(refused).toMatchObject({
    code: 'permissions_lax',
    message: expect.stringContaining('put a package.json into'),
    fix: expect.stringContaining(`'${inner}/package.json'`),
  })
  await writeFile(join(inner, 'package.json'), '{}', { mode: 0o600 })
  // It runs then, and is no store.
  expect((await refusal(path)).code).toBe('config_invalid')
})

it.each(['package.json', 'node_modules'])(
  'refuses a %s on the way up that others may change',
  async (name) => {
    const outer = await folderOf(base, `lax-${name}`, 0o755)
    const lax = join(outer, name)
    if (name === 'package.json') await writeFile(lax, '{}')
    else await mkdir(lax)
    const path = await moduleIn(await folderOf(outer, 'mine', 0o700))
    await chmod(lax, 0o777)
    expect(await refusal(path)).toMatchObject({
      code: 'permissions_lax',
      message: expect.stringContaining(lax),
    })
    // A link in a good place is what it leads to.
    const linked = await folderOf(base, `linked-${name}`, 0o755)
    await symlink(lax, join(linked, name))
    expect((await refusal(await moduleIn(linked))).code).toBe('permissions_lax')
  },
)

it('refuses another copy of keyturn that only an import would find', async () => {
  const home = await folderOf(base, 'two-faces', 0o755)
  const exported = { './store': { require: './link.js', import: './other.mjs' } }
  await writeFile(join(home, 'package.json'), JSON.stringify({ name: 'keyturn', exports: exported }))
  await symlink(join(root, 'dist', 'store.js'), join(home, 'link.js'))
  await writeFile(join(home, 'other.mjs'), 'export const x = 1')
  expect(await refusal(await moduleIn(home))).toMatchObject({
    code: 'config_invalid',
    message: expect.stringContaining('another copy of keyturn'),
  })
})

it('refuses what belongs to another user, however closed it is', async () => {
  const home = await folderOf(base, 'strangers', 0o700)
  const path = await moduleIn(home)
  const packageFile = join(home, 'package.json')
  await writeFile(packageFile, '{}', { mode: 0o600 })
  const user = process.geteuid?.() ?? 0
  // Only root can give files away; to anybody else, what is theirs is a stranger's once they are told to be another.
  if (user === 0) await chown(packageFile, 65_534, 65_534)
  const told = vi.spyOn(process, 'geteuid').mockReturnValue(user === 0 ? 0 : user + 1)
  const refused = await refusal(path)
  told.mockRestore()
  expect(refused).toMatchObject({
    code: 'permissions_lax',
    message: expect.stringContaining('belongs to another user'),
  })
})

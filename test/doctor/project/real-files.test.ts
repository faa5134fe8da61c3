import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { openProjectFiles } from '../../../src/doctor/project/real-files.ts'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function folderOf(texts: Readonly<Record<string, string | Buffer>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-doctor-'))
  folders.push(folder)
  for (const [path, text] of Object.entries(texts)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  return folder
}

const env = { PATH: process.env['PATH'], HOME: tmpdir() }
const open = (folder: string) => openProjectFiles({ folder, env })
const git = (folder: string, ...args: string[]) =>
  execFileSync('git', ['-C', folder, '-c', 'user.name=a', '-c', 'user.email=a@example.com', ...args], {
    env: { ...env, GIT_CONFIG_GLOBAL: '/dev/null' },
  })

describe('the files of a project', () => {
  it('are listed in order, without what installers and builds wrote, and without what is no text', async () => {
    const folder = folderOf({
      'b.py': '',
      'a/c.ts': '',
      '.env': '',
      'node_modules/openai/index.js': '',
      'site/.next/page.js': '',
      'py/pyvenv.cfg': '',
      'py/lib/x.py': '',
      '__pycache__/b.py': '',
      'logo.png': 'text all the same',
      'model.weird': Buffer.from([1, 0, 2]),
      'large.json': ' '.repeat(1_048_577),
    })
    expect((await open(folder)).list()).toEqual(['.env', 'a/c.ts', 'b.py'])
  })

  it('are read with their byte order mark and line ends', async () => {
    const files = await open(folderOf({ '.env': '\uFEFFA=1\r\nB=2\r\n' }))
    expect(files.read('.env')).toBe('\uFEFFA=1\r\nB=2\r\n')
    expect(files.read('.env.absent')).toBeUndefined()
  })

  it('end at the folder: neither a link nor a path leads out of it', async () => {
    const outside = folderOf({ secret: 'no' })
    const folder = folderOf({ 'real/.env': 'A=1' })
    symlinkSync(join(outside, 'secret'), join(folder, '.env.outside'))
    symlinkSync(outside, join(folder, 'linked'))
    symlinkSync(join('real', '.env'), join(folder, '.env'))
    symlinkSync('.', join(folder, 'round'))
    const files = await open(folder)
    expect(files.list()).toEqual(['.env', 'real/.env'])
    expect(files.read('.env')).toBe('A=1')
    for (const path of ['.env.outside', 'linked/secret', '../x', join(outside, 'secret'), '', 'a\0b', '.'])
      expect(files.read(path)).toBeUndefined()
  })

  it('tell what git keeps and what it ignores', async () => {
    const folder = folderOf({
      '.gitignore': '.env\nlogs/\n*.kept\n',
      '.env': '',
      'logs/a.txt': '',
      'app.py': '',
      'näher.py': '',
      'new.py': '',
      'forced.kept': '',
    })
    git(folder, 'init', '-q')
    git(folder, 'add', 'app.py', 'näher.py', '.gitignore')
    git(folder, 'add', '--force', 'forced.kept')
    const files = await open(folder)
    const about = (path: string) => [files.isTracked(path), files.isIgnored(path)]
    expect(about('app.py')).toEqual([true, false])
    expect(about('näher.py')).toEqual([true, false])
    expect(about('forced.kept')).toEqual([true, false])
    expect(about('new.py')).toEqual([false, false])
    expect(about('.env')).toEqual([false, true])
    expect(about('logs/a.txt')).toEqual([false, true])
  })

  it('tell nothing of git where there is no repository, where git is not there, and where another ignores it all', async () => {
    const folder = folderOf({ 'a.py': '', 'inside/b.py': '', '.gitignore': 'inside/' })
    expect((await open(folder)).isTracked('a.py')).toBeUndefined()
    git(folder, 'init', '-q')
    expect((await open(folder)).isTracked('a.py')).toBe(false)
    const without = await openProjectFiles({ folder, env: { PATH: '/nowhere' } })
    expect(without.isTracked('a.py')).toBeUndefined()
    expect((await open(join(folder, 'inside'))).isIgnored('b.py')).toBeUndefined()
  })

  it('run nothing that a repository of a stranger configures', async () => {
    const folder = folderOf({ 'a.py': '' })
    const ran = join(folderOf({}), 'ran')
    const program = join(folder, 'program.sh')
    writeFileSync(program, `#!/bin/sh\ntouch ${ran}\n`)
    chmodSync(program, 0o755)
    git(folder, 'init', '-q')
    git(folder, 'add', 'a.py')
    for (const name of ['core.fsmonitor', 'core.pager', 'core.editor', 'core.sshCommand', 'filter.x.clean'])
      git(folder, 'config', name, program)
    writeFileSync(join(folder, '.gitattributes'), '* filter=x\n')
    writeFileSync(join(folder, 'a.py'), 'changed')
    const files = await open(folder)
    expect(files.isTracked('a.py')).toBe(true)
    expect((await open(dirname(ran))).list()).toEqual([])
  })

  it('fetch nothing that a repository of a stranger lacks, whatever it allows', async () => {
    const origin = folderOf({ 'a/b.py': '', 'top.py': '' })
    git(origin, 'init', '-q')
    git(origin, 'config', 'uploadpack.allowFilter', 'true')
    git(origin, 'add', '.')
    git(origin, 'commit', '-q', '-m', 'a')
    const folder = join(folderOf({}), 'clone')
    git(origin, 'clone', '-q', '--filter=tree:0', '--sparse', `file://${origin}`, folder)
    // The index names folders, and what is in them is asked of the remote.
    git(folder, 'sparse-checkout', 'set', '--cone', '--sparse-index')
    rmSync(join(folder, '.git/objects/pack'), { recursive: true })
    const ran = join(folderOf({}), 'ran')
    git(folder, 'config', 'remote.origin.url', `ext::touch ${ran}`)
    git(folder, 'config', 'protocol.ext.allow', 'always')
    // As git was before it knew GIT_NO_LAZY_FETCH.
    const programs = folderOf({
      git: '#!/bin/sh\nunset GIT_NO_LAZY_FETCH\nPATH="${PATH#*:}" exec git "$@"\n',
    })
    chmodSync(join(programs, 'git'), 0o755)
    const files = await openProjectFiles({ folder, env: { ...env, PATH: `${programs}:${env.PATH}` } })
    expect([files.list(), existsSync(ran)]).toEqual([['top.py'], false])
  })

  it('take no git from a folder that is named by a relative path, as where PATH has a dot', async () => {
    const ran = join(folderOf({}), 'ran')
    const folder = folderOf({ git: `#!/bin/sh\ntouch ${ran}\n` })
    chmodSync(join(folder, 'git'), 0o755)
    await openProjectFiles({
      folder,
      env: { ...env, PATH: `${relative(process.cwd(), folder)}:${env.PATH}` },
    })
    await openProjectFiles({ folder, env: { ...env, PATH: `${relative('/', folder)}:${env.PATH}` } })
    expect(existsSync(ran)).toBe(false)
  })

  it('tell the versions that are installed', async () => {
    const files = await open(
      folderOf({
        'node_modules/openai/package.json': '{"name":"openai","version":"4.20.1"}',
        'node_modules/broken/package.json': '{"version":',
        'node_modules/odd/package.json': '{"version":"sk-proj-1"}',
        '.venv/lib/python3.12/site-packages/openai-1.3.0.dist-info/METADATA': '',
        '.venv/lib/python3.12/site-packages/python_dotenv-1.0.1.dist-info/METADATA': '',
      }),
    )
    expect(files.installed('npm', 'openai')).toBe('4.20.1')
    expect(files.installed('python', 'openai')).toBe('1.3.0')
    expect(files.installed('python', 'python-dotenv')).toBe('1.0.1')
    for (const name of ['broken', 'odd', 'absent', '../..'])
      expect(files.installed('npm', name)).toBeUndefined()
  })

  it('reach above the folder for a .env alone, up to where the repository begins', async () => {
    const top = folderOf({ '.env': 'A=1', 'apps/.env': 'A=2', 'apps/api/index.js': '', 'apps/notes.txt': '' })
    const outside = await open(join(top, 'apps/api'))
    expect(outside.above?.('.env')).toEqual([])
    expect(outside.read('../.env')).toBeUndefined()
    git(join(top, 'apps'), 'init', '--quiet')
    const inside = await open(join(top, 'apps/api'))
    expect(inside.above?.('.env')).toEqual(['../.env'])
    expect(inside.read('../.env')).toBe('A=2')
    for (const path of ['../../.env', '../notes.txt', '../api/../.env', '../.env/../notes.txt'])
      expect(inside.read(path)).toBeUndefined()
  })

  it("reach above for the repository's workflows, and follow no link out of it", async () => {
    const top = folderOf({
      'elsewhere/other.yml': 'jobs: 2',
      'team/.github/workflows/ci.yml': 'jobs: 1',
      'team/.github/workflows/notes.txt': '',
      'team/apps/api/index.js': '',
    })
    git(join(top, 'team'), 'init', '--quiet')
    symlinkSync('../../../elsewhere/other.yml', join(top, 'team/.github/workflows/other.yml'))
    const files = await open(join(top, 'team/apps/api'))
    expect(files.workflowsAbove?.()).toContain('../../.github/workflows/ci.yml')
    expect(files.read('../../.github/workflows/ci.yml')).toBe('jobs: 1')
    for (const path of ['../../.github/workflows/other.yml', '../../.github/workflows/notes.txt'])
      expect(files.read(path)).toBeUndefined()
    expect((await open(join(top, 'team'))).workflowsAbove?.()).toEqual([])
  })

  it('are found however many folders they are in', async () => {
    const folder = folderOf(
      Object.fromEntries(
        Array.from({ length: 400 }, (_, index) => [`src/${index % 40}/file-${index}.ts`, 'const a = 1\n']),
      ),
    )
    const files = await open(folder)
    expect(files.list()).toHaveLength(400)
  })
})

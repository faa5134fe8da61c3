import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { checkConfig } from '../../src/config.ts'
import { assertValidCron } from '../../src/engine/cron.ts'
import { readCompose, type Service } from '../image/compose.ts'
import { looseIn } from './compose-rules.ts'
import { configProblems } from './config-check.ts'
import { instructionsOf, problemsOf } from './dockerfile.ts'

const repository = join(import.meta.dirname, '..', '..')
const read = (name: string): string => readFileSync(join(repository, name), 'utf8')
const dockerfile = read('Dockerfile')
const variables = { POSTGRES_IMAGE: `postgres@sha256:${'0'.repeat(64)}` }
const plain = readCompose(['compose.yaml'], variables)
const sandbox = readCompose(['compose.yaml', 'compose.sandbox.yaml'], variables)

describe('what the image says where no configuration was mounted', () => {
  it('names the place, and what to do in a container', () => {
    const env = { KEYTURN_CONFIG: '/etc/keyturn/keyturn.yaml', OPENAI_API_KEY: 'x' }
    const cwd = '/var/lib/keyturn'
    expect(checkConfig({ env, cwd, readFile: () => undefined, assertValidCron })).toMatchObject({
      kind: 'missing',
      message: 'there is no configuration file /etc/keyturn/keyturn.yaml',
      fix: expect.stringContaining('in a container: mount it'),
    })
  })
})

describe('the Dockerfile', () => {
  it('makes an image without shell or root, on a base by digest, with no secret and no script of a package', () => {
    expect(problemsOf(dockerfile)).toEqual([])
  })

  it.each([
    ['ARG BASE\n', 'ARG BASE=node:24\n', 'BASE has a default'],
    ['*@sha256:*)', '*)', 'a base without digest is not refused'],
    ['FROM scratch', 'FROM alpine', 'alpine is not named by digest'],
    ['EXPOSE 7420', 'RUN touch /x', 'the final stage runs commands, so it has a shell'],
    ['USER 65532:65532', 'USER keyturn', 'the user is not a number other than 0'],
    ['USER 65532:65532', 'USER 0:0', 'the user is not a number other than 0'],
    ['CMD ["serve"]', 'CMD serve', 'CMD is not in exec form'],
    ['ENTRYPOINT ["/usr/local/bin/keyturn"]', 'ENTRYPOINT keyturn', 'ENTRYPOINT is not in exec form'],
    ['CMD ["/usr/local/bin/node"', 'CMD node ["', 'HEALTHCHECK is not in exec form'],
    ['EXPOSE 7420', 'ENV OPENAI_API_KEY=x', 'ENV holds a secret'],
    ['COPY src src', 'COPY . .', 'COPY takes the whole folder'],
    ['COPY src src', 'ADD https://example.com/a.tar.gz /', 'ADD fetches and unpacks'],
    ['npm ci --ignore-scripts', 'npm ci', 'scripts of packages run'],
  ])('is caught with %j made %j', (from, to, problem) => {
    const changed = dockerfile.replace(from, to)
    expect(changed).not.toBe(dockerfile)
    expect(problemsOf(changed)).toEqual([problem])
  })

  it('has the version of package.json', () => {
    const { version } = JSON.parse(read('package.json')) as { readonly version: string }
    expect(instructionsOf(dockerfile)).toContainEqual({ name: 'ARG', rest: `VERSION=${version}` })
  })

  it('is given what it copies and no more', () => {
    const lines = read('.dockerignore')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
    expect(lines[0]).toBe('*')
    const named = new Set(lines.filter((line) => line.startsWith('!')).map((line) => line.slice(1)))
    const copied = instructionsOf(dockerfile)
      .filter(({ name, rest }) => name === 'COPY' && !rest.startsWith('--from'))
      .flatMap(({ rest }) => rest.split(' ').slice(0, -1))
    expect([...named].sort()).toEqual([...new Set(copied)].sort())
    expect(lines).toContain('**/.*')
  })
})

describe('the compose files', () => {
  it.each([
    ...Object.entries(plain.services).map(([name, service]) => ['compose.yaml', name, service] as const),
    ...Object.entries(sandbox.services).map(([name, one]) => ['compose.sandbox.yaml', name, one] as const),
  ])('%s: %s is closed', (_file, _name, service) => {
    expect(looseIn(service)).toEqual([])
  })

  it.each<readonly [object, string]>([
    [{ user: 'keyturn' }, 'user is not a number other than 0'],
    [{ user: '0:0' }, 'user is not a number other than 0'],
    [{ read_only: false }, 'its file system can be written'],
    [{ cap_drop: ['NET_RAW'] }, 'it keeps capabilities'],
    [{ cap_add: ['SYS_ADMIN'] }, 'it gets capabilities'],
    [{ privileged: true }, 'it is privileged'],
    [{ security_opt: [] }, 'it may gain privileges'],
    [{ pids_limit: undefined }, 'it may start any number of processes'],
    [{ network_mode: 'host' }, "it has the machine's network"],
    [{ ports: ['7420:7420'] }, '7420:7420 is open to other machines'],
    [{ volumes: ['/var/run/docker.sock:/s:ro'] }, 'it has the socket of Docker'],
    [{ volumes: ['./a:/b'] }, './a:/b can be written'],
    [{ environment: { OPENAI_API_KEY: 'x' } }, 'OPENAI_API_KEY holds a secret: string'],
  ])('are caught with %j', (change, problem) => {
    const service = { ...plain.services['keyturn-1'], ...change } as Service
    expect(looseIn(service)).toEqual([problem])
  })

  it('want PostgreSQL named by whoever starts them', () => {
    expect(() => readCompose(['compose.yaml'], {})).toThrow('POSTGRES_IMAGE: name it with its digest')
  })

  it('have replicas that differ in home and port alone', () => {
    const [one, other] = ['keyturn-1', 'keyturn-2'].map((name) => plain.services[name])
    const same = (service: Service | undefined) => ({
      ...service,
      ports: [],
      depends_on: {},
      volumes: service?.volumes?.filter((text) => !text.startsWith('home-')),
    })
    expect(same(other)).toEqual(same(one))
    expect(one?.volumes).toContain('home-1:/var/lib/keyturn')
    expect(other?.volumes).toContain('home-2:/var/lib/keyturn')
  })

  it('name volumes and secrets that are there', () => {
    for (const { volumes, secrets, services } of [plain, sandbox])
      for (const service of Object.values(services)) {
        const named = (service.volumes ?? [])
          .map((text) => text.split(':')[0] ?? '')
          .filter((name) => !name.startsWith('.'))
        for (const name of named) expect(Object.keys(volumes)).toContain(name)
        for (const name of service.secrets ?? []) expect(Object.keys(secrets)).toContain(name)
      }
  })

  it('have their secrets where git does not look', () => {
    for (const { file } of Object.values(plain.secrets))
      expect(file).toMatch(/^\.\/deploy\/compose\/secrets\//)
    expect(read('.gitignore').split('\n')).toContain('deploy/compose/secrets/')
  })

  it('bring a configuration that is valid as it stands in the image', () => {
    const text = read('deploy/compose/keyturn.yaml')
    expect(configProblems(text)).toEqual([])
  })
})

import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { defaultRoots, neverRoots, routeOf } from '../../src/proxy/paths.ts'

const roots = new Set(defaultRoots)

describe('a path of the API', () => {
  it.each([
    ['/v1/models', '/models'],
    ['/v1/chat/completions', '/chat/completions'],
    ['/v1/files/file-abc123/content', '/files/file-abc123/content'],
    ['/v1/models/ft:gpt-4o-mini:acme::7p4lURel', '/models/ft:gpt-4o-mini:acme::7p4lURel'],
    ['/v1/models/ft%3Agpt-4o-mini%3Aacme%3A%3A7p4lURel', '/models/ft%3Agpt-4o-mini%3Aacme%3A%3A7p4lURel'],
    ['/v1/files?limit=20&order=asc&purpose=user_data', '/files?limit=20&order=asc&purpose=user_data'],
    ['/v1/responses/resp_1?include[]=output%5B0%5D', '/responses/resp_1?include[]=output%5B0%5D'],
  ])('%s goes on', (target, rest) => {
    expect(routeOf(target, roots)).toEqual({ kind: 'found', credential: undefined, rest })
  })

  it.each([
    ['/openai-prod/v1/models', 'openai-prod'],
    ['/v1/v1/models', 'v1'],
  ])('%s names its credential', (target, credential) => {
    expect(routeOf(target, roots)).toEqual({ kind: 'found', credential, rest: '/models' })
  })
})

describe('a path that could mean another', () => {
  it.each([
    '/v1/models/../organization/projects',
    '/v1/models/%2e%2e/organization',
    '/v1/models/.%2e/organization',
    '/v1/models/..%2forganization',
    '/v1/models%2f..%2forganization',
    '/v1/models/%252e%252e/organization',
    '/v1/models\\..\\organization',
    '/v1/models/..;/organization',
    '/v1/models;x=/organization',
    '/v1//organization',
    '//v1/models',
    '//api.evil.example/v1/models',
    '/v1/models/',
    '/v1/./models',
    '/v1/%6dodels',
    '/v1/models%00',
    '/v1/models%0d%0aHost:%20evil.example',
    '/v1/models#/organization',
    '/v1/models?a=1#b',
    '/v1/models?a=<script>',
    '/v1/models?a="b"',
    'http://api.openai.com/v1/models',
    'https://api.openai.com/v1/organization/projects',
    'api.openai.com:443',
    '*',
    '',
  ])('%s is malformed', (target) => {
    expect(routeOf(target, roots)).toEqual({ kind: 'malformed' })
  })

  it.each([
    '/',
    '/v1',
    '/models',
    '/v2/models',
    '/v1/realtime',
    '/v1/engines',
    '/a/b/v1/models',
    '/UPPER/v1/models',
  ])('%s is none that goes on', (target) => {
    expect(['unknown', 'malformed']).toContain(routeOf(target, roots).kind)
  })

  it.each(neverRoots)('/v1/%s is forbidden', (root) => {
    expect(routeOf(`/v1/${root}/anything`, roots)).toEqual({ kind: 'forbidden' })
    expect(routeOf(`/openai/v1/${root}`, roots)).toEqual({ kind: 'forbidden' })
  })

  it('never resolves to anything but what was checked, whatever it is made of', () => {
    const piece = fc.constantFrom(
      'v1',
      'models',
      'organization',
      '..',
      '.',
      '',
      '%2e',
      '%2f',
      '%3A',
      ':',
      'a',
      '\\',
      ';',
      '@',
      '?',
      '#',
      'x.y',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const route = routeOf(`/${pieces.join('/')}`, roots)
        if (route.kind !== 'found') return
        const { pathname } = new URL(`https://api.openai.com/v1${route.rest}`)
        const [, , root = ''] = decodeURIComponent(pathname).split('/')
        expect(`/v1${route.rest.split('?')[0]}`).toBe(pathname)
        expect(roots.has(root)).toBe(true)
      }),
      { numRuns: 500 },
    )
  })
})

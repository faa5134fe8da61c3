import { existsSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { describe, expect, it } from 'vitest'
import { anchorsIn, withoutCode } from './markdown.ts'
import { pages, repository } from './pages.ts'

const all = pages()
const anchors = new Map(all.map(({ path, text }) => [path, anchorsIn(text)]))

interface Link {
  readonly target: string
  /** From the repository. */
  readonly file: string
  readonly anchor: string
}

function linksOf(path: string, text: string): readonly Link[] {
  const plain = withoutCode(text).replaceAll(/`[^`\n]*`/g, 'code')
  return [...plain.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z][a-z0-9+.-]*:/i.test(target))
    .map((target) => {
      const [file = '', anchor = ''] = target.split('#')
      const full = file === '' ? join(repository, path) : resolve(repository, dirname(path), file)
      return { target, file: relative(repository, full).split(sep).join('/'), anchor }
    })
}

describe('the links of the pages', () => {
  it.each(all)('$path leads to what is there', ({ path, text }) => {
    const broken = linksOf(path, text).filter(({ file, anchor }) => {
      if (file.startsWith('..') || !existsSync(join(repository, file))) return true
      return anchor !== '' && anchors.get(file)?.has(anchor) !== true
    })
    expect(broken.map(({ target }) => target)).toEqual([])
  })

  it('lead from the README to every page', () => {
    const reached = new Set<string>()
    const open = ['README.md']
    for (let path = open.pop(); path !== undefined; path = open.pop()) {
      const page = all.find((one) => one.path === path)
      if (page === undefined || reached.has(path)) continue
      reached.add(path)
      open.push(...linksOf(path, page.text).map(({ file }) => file))
    }
    expect(all.map(({ path }) => path).filter((path) => !reached.has(path))).toEqual([])
  })

  it('finds a broken one', () => {
    const text = '# A\n\n[x](docs/nowhere.md) [y](#a) [z](#b)\n\n```md\n[q](gone.md)\n```\n'
    expect(linksOf('README.md', text).map(({ file, anchor }) => `${file}#${anchor}`)).toEqual([
      'docs/nowhere.md#',
      'README.md#a',
      'README.md#b',
    ])
    expect([...anchorsIn(text)]).toEqual(['a'])
  })
})

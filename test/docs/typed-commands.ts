import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fencesOf } from './markdown.ts'
import { repository } from './pages.ts'

/** What a user types, line by line: the shell of the section `## The commands` of a page. */
export function commandsOf(page: string): readonly string[] {
  const text = readFileSync(join(repository, page), 'utf8')
  const section = /^## The commands$([\s\S]*?)(?=^## )/m.exec(text)?.[1] ?? ''
  return fencesOf(section)
    .filter(({ language }) => language === 'sh')
    .flatMap(({ code }) => code.trim().split('\n'))
}

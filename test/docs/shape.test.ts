import { expect, it } from 'vitest'
import { pages } from './pages.ts'

const of = (folder: string) => pages().filter(({ path }) => path.startsWith(`docs/${folder}/`))
const headings = (text: string): readonly string[] =>
  [...text.matchAll(/^##+ (.+)$/gm)].map(([, heading = '']) => heading)

it.each(of('tasks'))('$path says what is needed, seen and can go wrong, and how to undo it', ({ text }) => {
  const found = headings(text)
  for (const wanted of ['What you need', 'What can go wrong', 'How to undo it'])
    expect(found).toContain(wanted)
  expect(text).toMatch(/^## What you will see$|^```json$/m)
  expect(text).toMatch(/^ *```sh$/m)
})

it.each(of('symptoms'))('$path begins with what is seen, then one command, then causes', ({ text }) => {
  const [first, second] = text.matchAll(/^##+ (What you see|Find out)$/gm)
  const isInOrder = first?.[1] === 'What you see' && second?.[1] === 'Find out'
  // Where nothing has started, what it says is the first thing that is seen.
  const isStart = text.startsWith('# The service does not start')
  expect(isInOrder || isStart).toBe(true)
  const between = text.slice(text.indexOf('Find out'), text.search(/^\|.*(?:cause|fix)/m))
  expect(between).toMatch(/^```sh\n.+\n```$/m)
  expect(text).toMatch(/most likely first/)
})

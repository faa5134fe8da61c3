import { inspectKeyShape } from '../../core/key-inspection.ts'
import { describePlace, type Finding } from '../finding.ts'
import { isKeyName } from '../project/key-names.ts'
import type { Look } from '../project/project-check.ts'
import { realKeysIn } from '../project/real-key.ts'
import { shellWord } from '../shell-word.ts'
import { leak } from '../source/leaked-keys.ts'
import type { Manifest } from './kubernetes-manifest.ts'
import { entriesAt, type YamlEntry } from './yaml-tree.ts'

/** A Secret that is kept as a file: characters that came along into its base64, and keys that others can read. */
export function secretFindings(look: Look, manifest: Manifest): readonly Finding[] {
  const data = [...entriesAt(manifest.tree, 'data')].map(([key, entry]) => ({
    key,
    entry,
    text: decoded(entry),
    field: 'data',
  }))
  const plain = [...entriesAt(manifest.tree, 'stringData')].map(([key, entry]) => ({
    key,
    entry,
    text: textOf(entry),
    field: 'stringData',
  }))
  return [...data, ...plain].flatMap(({ key, entry, text, field }) => {
    const place = { kind: 'file', path: manifest.path, line: entry.line, name: key } as const
    const [real] = realKeysIn(text)
    const strays = isKeyName(key) || real !== undefined ? straysIn(text) : undefined
    const stray: readonly Finding[] =
      strays === undefined
        ? []
        : [
            {
              code: 'key_stray_characters',
              severity: 'error',
              seen: `${describePlace(place)}: ${key} of the Secret ${manifest.name} has ${strays}${field === 'data' ? ' in its base64' : ''}.`,
              cause:
                'What does not belong to the key came along when the Secret was made, and the program sends it too.',
              fix: `kubectl create secret generic ${shellWord(manifest.name)} --from-literal=${shellWord(key)}="$OPENAI_API_KEY" --dry-run=client -o yaml | kubectl apply -f -`,
              place,
            },
          ]
    // Without a repository, nobody has it but who has the file; the stray character is then what is wrong.
    const isKept =
      look.files.isTracked(manifest.path) !== undefined && look.files.isIgnored(manifest.path) !== true
    const isAlone = look.files.isTracked(manifest.path) === undefined && stray.length === 0
    const isLeak = real !== undefined && (isKept || isAlone)
    return isLeak ? [...stray, leak(look, { place, secret: real.secret, isSource: false })] : stray
  })
}

const textOf = ({ value }: YamlEntry) => (value.kind === 'text' ? value.text : '')

function decoded(entry: YamlEntry): string {
  const text = textOf(entry).replaceAll(/\s/g, '')
  return /^[A-Za-z0-9+/]+={0,2}$/.test(text) && text.length % 4 === 0
    ? Buffer.from(text, 'base64').toString('utf8')
    : ''
}

/** What stands around the key, by position and name. */
function straysIn(text: string): string | undefined {
  const { core, problems } = inspectKeyShape(text)
  if (text.trim() === '' || core === 'placeholder' || text.includes('\n-----') || /^\s*[[{]/.test(text))
    return undefined
  const strays = problems.filter(({ isFatal, name }) => isFatal && name !== 'empty')
  const [first] = strays
  if (first === undefined) return undefined
  const others = strays.length > 1 ? ` and ${strays.length - 1} more` : ''
  return `${first.character ?? first.name.replaceAll('_', ' ')} at position ${first.position ?? 0} of ${text.length}${others}`
}

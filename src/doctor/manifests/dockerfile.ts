import { inspectKeyShape } from '../../core/key-inspection.ts'
import { describePlace, type Finding, type Place } from '../finding.ts'
import { isAside } from '../project/aside.ts'
import { isKeyName } from '../project/key-names.ts'
import { type Look, projectCheck } from '../project/project-check.ts'
import { realKeysIn } from '../project/real-key.ts'
import { shellWord } from '../shell-word.ts'
import { type Instruction, readDockerfile } from './dockerfile-text.ts'
import { leavesOut } from './dockerignore.ts'
import { folderOf, inFolder, isDockerfile, isTemplate } from './paths.ts'

/** Keys that an image would carry with it. */
export const dockerfiles = projectCheck('Dockerfiles', (look) => {
  const paths = look.files
    .list()
    .filter((path) => isDockerfile(path) && !isAside(path) && look.files.isIgnored(path) !== true)
  const found = paths.flatMap((path) => ofDockerfile(look, path))
  return found.some(({ code }) => code === 'image_holds_key') ? found : [...found, ...buildArguments(look)]
})

function ofDockerfile(look: Look, path: string): readonly Finding[] {
  const instructions = readDockerfile(look.files.read(path) ?? '')
  const lastStage = instructions.findLastIndex(({ name }) => name === 'FROM')
  // ARG and ENV of one name are one cause: what ENV keeps says more.
  const settings = instructions.flatMap((one) => ofSetting(path, one))
  const baked =
    settings.find(({ severity, code }) => code === 'image_holds_key' && severity === 'error') ?? settings[0]
  const copied = instructions.slice(Math.max(0, lastStage)).flatMap((one) => ofCopy(look, path, one))
  const others =
    baked === undefined && copied.length === 0 ? instructions.flatMap((one) => ofOther(path, one)) : []
  return [...(baked === undefined ? [] : [baked]), ...copied.slice(0, 1), ...others.slice(0, 1)]
}

function ofSetting(path: string, { name, line, text }: Instruction): readonly Finding[] {
  if (name !== 'ENV' && name !== 'ARG') return []
  return assignments(text).flatMap(({ variable, value }) => {
    if (!isKeyName(variable)) return []
    const place = { kind: 'file', path, line, name: variable } as const
    // An empty default is filled in when the container starts.
    if (value === '' || (name === 'ENV' && value === undefined)) return []
    if (value !== undefined && !value.includes('$') && inspectKeyShape(value).core === 'placeholder')
      return name === 'ENV' ? [placeholder(place, value.length)] : []
    const seen =
      name === 'ENV'
        ? `${describePlace(place)} writes ${variable} into the image with ENV.`
        : `${describePlace(place)} takes ${variable} as a build argument, which the history of the image keeps.`
    return [inImage(place, seen)]
  })
}

/** `ENV A=1 B="2"`, and the old `ENV A 1`. */
function assignments(
  text: string,
): readonly { readonly variable: string; readonly value: string | undefined }[] {
  const old = /^([A-Za-z_]\w{0,99})\s+([^=\s].{0,500})$/.exec(text)
  if (old !== null) return [{ variable: old[1] ?? '', value: (old[2] ?? '').trim() }]
  const pairs = text.matchAll(
    /(?:^|\s)([A-Za-z_]\w{0,99})(?:=("[^"]{0,500}"|'[^']{0,500}'|\S{0,500}))?(?=\s|$)/g,
  )
  return Array.from(pairs, (match) => ({
    variable: match[1] ?? '',
    value: match[2]?.replace(/^(["'])(.*)\1$/, '$2'),
  }))
}

function ofCopy(look: Look, path: string, { name, line, text }: Instruction): readonly Finding[] {
  if ((name !== 'COPY' && name !== 'ADD') || /--from=/.test(text)) return []
  const folder = folderOf(path)
  const words = text
    .replaceAll(/[[\]",]/g, ' ')
    .split(/\s+/)
    .filter((word) => word !== '' && !word.startsWith('--'))
  const sources = words.slice(0, -1).map((word) => word.replace(/^\.\//, ''))
  const names = look.facts.dotenv
    .filter(
      ({ path: file, variables }) =>
        folderOf(file) === folder &&
        !isTemplate(file) &&
        variables.some((one) => isKeyName(one.name) && one.text.length > 20),
    )
    .map(({ path: file }) => file.slice(folder === '' ? 0 : folder.length + 1))
  const taken = names.find((file) =>
    sources.some(
      (source) =>
        source === '' ||
        source === '.' ||
        source === '*' ||
        source === file ||
        (source === '.env*' && file.startsWith('.env')),
    ),
  )
  if (taken === undefined || leavesOut(ignoreText(look, path), taken)) return []
  const place = { kind: 'file', path, line } as const
  return [
    {
      ...inImage(
        place,
        `${describePlace(place)} copies ${taken} into the image, and .dockerignore does not keep it out.`,
      ),
      fix: `echo '.env*' >> ${shellWord(inFolder(folder, '.dockerignore'))} && docker run --env-file ${shellWord(inFolder(folder, taken))} <image>`,
    },
  ]
}

/** A file of its own wins over the one of the folder. */
function ignoreText({ files }: Look, path: string): string {
  return files.read(`${path}.dockerignore`) ?? files.read(inFolder(folderOf(path), '.dockerignore')) ?? ''
}

/** A key anywhere else: in a RUN, in a LABEL. */
function ofOther(path: string, { line, text }: Instruction): readonly Finding[] {
  if (realKeysIn(text).length === 0) return []
  const place = { kind: 'file', path, line } as const
  return [inImage(place, `${describePlace(place)} holds a key.`)]
}

const commands = /(?:^|\/)(?:[Mm]akefile|[Jj]ustfile|package\.json|[\w.-]{1,60}\.sh)$|\.ya?ml$/

function buildArguments({ files }: Look): readonly Finding[] {
  return files
    .list()
    .filter((path) => commands.test(path) && files.isIgnored(path) !== true)
    .flatMap((path) => {
      const lines = (files.read(path) ?? '').split('\n', 5_000)
      const index = lines.findIndex((line) =>
        /^[^#]{0,500}--build-arg[= ]["']?OPENAI_API_KEY\b/.test(line.slice(0, 1_000)),
      )
      if (index === -1) return []
      const place = { kind: 'file', path, line: index + 1 } as const
      return [
        inImage(
          place,
          `${describePlace(place)} hands OPENAI_API_KEY to docker build as an argument, which the history of the image keeps.`,
        ),
      ]
    })
    .slice(0, 1)
}

function inImage(place: Place, seen: string): Finding {
  return {
    code: 'image_holds_key',
    severity: 'error',
    seen,
    cause: 'Whoever can pull the image can read the key out of it.',
    fix: `Take it out of ${describePlace(place)}, and give it when the container starts: docker run --env OPENAI_API_KEY <image>; for a build: RUN --mount=type=secret,id=openai_api_key`,
    place,
  }
}

function placeholder(place: Place, length: number): Finding {
  return {
    code: 'key_placeholder',
    severity: 'error',
    seen: `${describePlace(place)} sets a placeholder of ${length} characters as the key.`,
    cause: 'The example text was never replaced, and the container starts with it.',
    fix: `Take the line out of ${describePlace(place)}, and start with: docker run --env OPENAI_API_KEY <image>`,
    place,
  }
}

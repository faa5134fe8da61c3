import { describePlace, type Finding } from '../finding.ts'
import { isAside } from '../project/aside.ts'
import { placeOf } from '../project/client-calls.ts'
import { type Look, projectCheck } from '../project/project-check.ts'
import type { Library } from '../project/project-facts.ts'

/** The first major version whose calls are today's. */
const majorMin: Partial<Record<Library['ecosystem'], number>> = { npm: 4, python: 1 }

/** An `openai` library of former years, and a source that was written for one. */
export const clientLibrary = projectCheck('client library', (look) => {
  const libraries = look.project.libraries.filter(({ name }) => name === 'openai')
  const old = libraries.filter(isOld)
  const found = old.map(outdated)
  return old.length > 0 || libraries.length === 0 ? found : [...found, ...writtenForOld(look, libraries)]
})

function isOld(library: Library): boolean {
  const min = majorMin[library.ecosystem]
  const major = majorOf(library)
  return min !== undefined && major !== undefined && major < min
}

/** Of what is installed, or else of the newest that the manifest lets in. */
function majorOf({ installed, wanted }: Library): number | undefined {
  if (installed !== undefined) return Number.parseInt(installed, 10)
  const upper = /<\s{0,3}(=?)\s{0,3}(\d{1,4})((?:\.\d{1,6}){0,3})/.exec(wanted)
  if (upper !== null) {
    const isWhole = /^(?:\.0)*$/.test(upper[3] ?? '') && upper[1] === ''
    return Number(upper[2]) - (isWhole ? 1 : 0)
  }
  if (/^\s*>|[*xX]|latest/.test(wanted)) return undefined
  const first = /\d{1,4}/.exec(wanted)?.[0]
  return first === undefined ? undefined : Number(first)
}

function outdated(library: Library): Finding {
  const { ecosystem, installed, wanted, place } = library
  return {
    code: 'client_outdated',
    severity: 'warning',
    seen: `${describePlace(place)} asks for openai ${wanted === '' ? 'of any version' : wanted}${installed === undefined ? '' : `; ${installed} is installed`}.`,
    cause:
      'This version of the client library is from former years: it knows neither today’s endpoints nor today’s errors.',
    fix: ecosystem === 'npm' ? 'npm install openai@latest' : "pip install --upgrade 'openai>=1'",
    place,
  }
}

/** Calls that the library lost with its first version; with a later one they only raise an error that names no key. */
const lost =
  /(?<![\w.])openai\.(?:ChatCompletion|Embedding|Image|Moderation|Audio|FineTune|File|Model)\.a?(?:create|list|retrieve|transcribe|translate)\s{0,5}\(/

function writtenForOld({ project }: Look, libraries: readonly Library[]): readonly Finding[] {
  if (!libraries.some((library) => library.ecosystem === 'python' && (majorOf(library) ?? 0) >= 1)) return []
  return project.sources
    .filter((source) => source.language === 'python' && !isAside(source.path))
    .flatMap((source) => {
      const match = lost.exec(source.bare)
      if (match === null) return []
      const place = placeOf(source, match.index)
      return [
        {
          code: 'client_outdated',
          severity: 'error',
          seen: `${describePlace(place)} calls ${match[0].replace(/\s*\($/, '')}, which openai 1.0 took away.`,
          cause: 'The source is written for the client library before 1.0, and a later one is asked for.',
          fix: 'openai migrate',
          place,
        } as const,
      ]
    })
}

import type { DoctorContext } from '../../../src/doctor/context.ts'
import { fileChecks } from '../../../src/doctor/file-checks.ts'
import { describePlace, type Finding } from '../../../src/doctor/finding.ts'
import { gather } from '../../../src/doctor/gather.ts'
import { projectOf, testDoctor } from '../context.ts'

export type Texts = Readonly<Record<string, string>>
export interface About {
  readonly env?: DoctorContext['env']
  readonly tracked?: readonly string[]
  readonly ignored?: readonly string[]
  readonly installed?: Readonly<Record<string, string>>
}

/** What the checks of files find in a project of these texts. */
export async function lookAt(texts: Texts, about: About = {}): Promise<readonly Finding[]> {
  const context = testDoctor({ files: projectOf(texts, about), env: about.env ?? {} })
  const facts = await gather(context)
  const found = await Promise.all(fileChecks.map((check) => check.run(facts, context)))
  return found.flat()
}

/** As `code place`, for comparing. */
export async function codesAt(texts: Texts, about: About = {}): Promise<readonly string[]> {
  const findings = await lookAt(texts, about)
  return findings.map(({ code, place }) => `${code} ${place === undefined ? '' : describePlace(place)}`)
}

export const lines = (...all: readonly string[]) => `${all.join('\n')}\n`

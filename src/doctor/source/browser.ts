import { describePlace, type Finding, type Place } from '../finding.ts'
import { isAside } from '../project/aside.ts'
import { projectCheck } from '../project/project-check.ts'

/** Frameworks write variables with these beginnings into what browsers get. */
const shown =
  /^(?:NEXT_PUBLIC|VITE|REACT_APP|EXPO_PUBLIC|GATSBY|NUXT_PUBLIC|PUBLIC|VUE_APP)_\w*OPEN_?AI\w*(?:KEY|TOKEN|SECRET)$/

/** A key that goes to browsers, where everybody can read it. */
export const browser = projectCheck('keys in browsers', ({ project }) => {
  const options = project.clients
    .filter(({ source }) => !isAside(source.path))
    .flatMap(({ options }) => options)
    .filter(
      ({ name, value }) =>
        name === 'dangerouslyallowbrowser' && value.kind === 'word' && value.text === 'true',
    )
    .map(({ place }) => inBrowser(place, 'sets dangerouslyAllowBrowser'))
  if (options.length > 0) return options
  return project.reads
    .filter(({ value, place }) => shown.test(value) && place.kind === 'file' && !isAside(place.path))
    .slice(0, 1)
    .map(({ value, place }) => inBrowser(place, `reads ${value}, which is written into what browsers get`))
})

function inBrowser(place: Place, what: string): Finding {
  return {
    code: 'client_in_browser',
    severity: 'warning',
    seen: `${describePlace(place)} ${what}.`,
    cause: 'Whoever opens the page can read the key and spend with it.',
    fix: `Call OpenAI from a server with OPENAI_API_KEY, and let the page call that; then take it out of ${describePlace(place)}.`,
    place,
  }
}

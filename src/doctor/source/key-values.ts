import { inspectKeyShape } from '../../core/key-inspection.ts'
import { describePlace, type Finding } from '../finding.ts'
import { isAside } from '../project/aside.ts'
import { goesElsewhere } from '../project/elsewhere.ts'
import { isInEnvironment, isSet, type Look, projectCheck } from '../project/project-check.ts'
import type { ClientCall, ClientOption } from '../project/project-facts.ts'
import { isRealKey } from '../project/real-key.ts'

/** The name under which every library of OpenAI looks for its key. */
const usual = 'OPENAI_API_KEY'

/**
 * What the source hands to a client as its key: a placeholder, somebody else's key, an empty text, or a variable that
 * nothing sets. Real keys are told by leaked-keys.ts.
 */
export const keyValues = projectCheck('key values in source', (look) =>
  look.project.clients
    .filter((client) => !isAside(client.source.path) && !goesElsewhere(client))
    .flatMap((client) =>
      client.options.filter(({ name }) => name === 'apikey').flatMap((option) => judge(look, client, option)),
    ),
)

function judge(look: Look, client: ClientCall, option: ClientOption): readonly Finding[] {
  const { value } = option
  if (value.kind === 'variable') return judgeVariable(look, option, value)
  if (value.kind !== 'literal' || client.name === 'environment default') return []
  return isRealKey(value.text.trim()) ? [] : judgeLiteral(look, client, option, value.text)
}

function judgeVariable(
  look: Look,
  { place }: ClientOption,
  variable: { readonly name: string },
): readonly Finding[] {
  const { name } = variable
  if (name === usual || isSet(look, name) || !isSet(look, usual)) return []
  return [
    {
      code: 'variable_misnamed',
      severity: 'error',
      seen: `${describePlace(place)} reads its key from ${name}, which is not set, while ${usual} is.`,
      cause: 'The source asks for the key under a name that nothing sets.',
      fix: `In ${describePlace(place)} read ${usual} instead of ${name}; or leave the option out: the client reads ${usual} by itself.`,
      place,
    },
  ]
}

function judgeLiteral(
  look: Look,
  client: ClientCall,
  { place }: ClientOption,
  text: string,
): readonly Finding[] {
  const at = describePlace(place)
  const fix = `In ${at} leave the key out, so that the client reads ${usual} from the environment; then: export ${usual}=<key from https://platform.openai.com/api-keys>`
  const found = (code: Finding['code'], seen: string, cause: string): readonly Finding[] => [
    { code, severity: 'error', seen, cause, fix, place },
  ]
  if (text.trim() === '')
    return found(
      'client_overrides_key',
      `${at} hands an empty key to ${client.name}.`,
      `An empty key in the source wins over ${usual}.`,
    )
  const { core, provider } = inspectKeyShape(text)
  if (core === 'placeholder')
    return found(
      'key_placeholder',
      `${at} holds a placeholder of ${text.length} characters where the key is meant to be.`,
      'The example text was never replaced by a key.',
    )
  if (core === 'other_provider')
    return found(
      'key_of_other_provider',
      `${at} hands a key of ${provider ?? 'another provider'} to a client of OpenAI.`,
      `The key belongs to ${provider ?? 'another provider'}, and OpenAI does not know it.`,
    )
  if (!isInEnvironment(look.context, usual) && !isSet(look, usual)) return []
  return found(
    'client_overrides_key',
    `${at} hands a text of ${text.length} characters to ${client.name}, while ${usual} is set.`,
    `What the source hands over wins over ${usual}, so the variable does nothing.`,
  )
}

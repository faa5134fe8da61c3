import type { PermissionSummary, RotationSummary } from '../api/types.ts'
import type { Output } from './output.ts'
import type { Colour } from './text.ts'

/** What a rehearsal found out: each permission, whether a rotation would work, and what is left of the rehearsal itself. */
export function renderRehearsal(
  rotation: RotationSummary,
  { paint, table }: Pick<Output, 'paint' | 'table'>,
): string[] {
  const { credential, failure, permissions, residue } = rotation
  const isUntested = permissions.some(({ state }) => state === 'untested')
  const works = `${credential}: a rotation would work${isUntested ? ', as far as it could be tested' : ''}`
  return [
    failure === null
      ? paint('green', works)
      : paint('red', `${credential}: a rotation would not work: ${failure.summary}`),
    ...table(permissions.map((one) => rowOf(one, paint))).map((line) => `  ${line}`),
    ...permissions.flatMap(({ state, fix }) => (state === 'untested' && fix !== '' ? [`    ${fix}`] : [])),
    ...(residue.length === 0
      ? ['  nothing was made, so nothing is left behind']
      : [
          '  no live key and no label is left behind; what remains:',
          ...residue.map((line) => `    ${line}`),
        ]),
  ]
}

const colours: Readonly<Record<PermissionSummary['state'], Colour>> = {
  granted: 'green',
  missing: 'red',
  untested: 'yellow',
}

function rowOf({ state, permission, resource }: PermissionSummary, paint: Output['paint']): string[] {
  return [paint(colours[state], state), permission, resource]
}

import type { PermissionSummary, RotationSummary } from '../api/types.ts'
import { fold } from './layout.ts'
import type { Output } from './output.ts'
import { type Colour, table } from './text.ts'

/** What a rehearsal found out: each permission, whether a rotation would work, and what is left of the rehearsal itself. */
export function renderRehearsal(
  rotation: RotationSummary,
  { paint, columns }: Pick<Output, 'paint' | 'columns'>,
): string[] {
  const { credential, failure, permissions, residue } = rotation
  const lacks = permissions.some(({ state }) => state === 'missing')
  // The fix of what failed is told with the failure.
  const isTold = ({ state }: PermissionSummary): boolean =>
    state === 'untested' || (state === 'missing' && failure === null)
  const lines = [
    failure === null
      ? paint(lacks ? 'yellow' : 'green', `${credential}: ${worksAsFarAs(permissions)}`)
      : paint('red', `${credential}: a rotation would not work: ${failure.summary}`),
    ...table(permissions.map((one) => rowOf(one, paint))).map((line) => `  ${line}`),
    ...permissions.flatMap((one) => (isTold(one) && one.fix !== '' ? [`    ${one.fix}`] : [])),
    ...(residue.length === 0
      ? ['  nothing was made, so nothing is left behind']
      : [
          '  no live key and no label is left behind; what remains:',
          ...residue.map((line) => `    ${line}`),
        ]),
  ]
  return lines.flatMap((line) => fold(line, columns))
}

/** What a rehearsal that went through promises: what is missing all the same has something in its place. */
export function worksAsFarAs(permissions: readonly PermissionSummary[]): string {
  const has = (state: PermissionSummary['state']): boolean => permissions.some((one) => one.state === state)
  const untested = has('untested') ? ', as far as it could be tested' : ''
  const instead = has('missing')
    ? '; but its old key would not be deleted, and end by an expiry of one second'
    : ''
  return `a rotation would work${untested}${instead}`
}

const colours: Readonly<Record<PermissionSummary['state'], Colour>> = {
  granted: 'green',
  missing: 'red',
  untested: 'yellow',
}

function rowOf({ state, permission, resource }: PermissionSummary, paint: Output['paint']): string[] {
  return [paint(colours[state], state), permission, resource]
}

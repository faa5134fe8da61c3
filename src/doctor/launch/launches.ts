import type { Finding } from '../finding.ts'
import { isTemplate } from '../manifests/paths.ts'
import { isAside } from '../project/aside.ts'
import { isSet, type Look, projectCheck } from '../project/project-check.ts'
import { debuggers } from './debuggers.ts'
import { neededVariables, startedBy, testsNeedKey } from './programs.ts'
import { isLoadedByCode, type LaunchFile, without, wrapped } from './without.ts'

/** Ways to start the program that do not go through the shell in which the variable is set. */
export const launches = projectCheck('launch files', (look) => {
  const needed = neededVariables(look.project)
  if (needed.length === 0 || !needed.some((name) => isSet(look, name))) return []
  return look.files
    .list()
    .filter((path) => !isAside(path) && !isTemplate(path))
    .flatMap((path) => {
      const kind = kinds.find(({ file }) => file.test(path))
      const text = kind === undefined ? undefined : look.files.read(path)
      return kind === undefined || text === undefined ? [] : kind.look(look, { path, text, needed })
    })
})

interface Kind {
  readonly file: RegExp
  readonly look: (look: Look, file: LaunchFile) => readonly Finding[]
}

const kinds: readonly Kind[] = [
  { file: /\.service$/, look: systemd },
  { file: /(?:^|\/)(?:crontab[\w.-]{0,40}|[\w.-]{1,60}\.cron(?:tab)?|cron\.d\/[\w.-]{1,60})$/, look: cron },
  { file: /(?:^|\/)\.vscode\/launch\.json$/, look: debuggers },
  { file: /(?:^|\/)tox\.ini$/, look: tox },
  { file: /\.plist$/, look: launchd },
]

function systemd(look: Look, { path, text, needed }: LaunchFile): readonly Finding[] {
  const lines = text.split('\n', 2_000).map((line) => line.trim())
  const index = lines.findIndex((line) => line.startsWith('ExecStart='))
  const isGiven =
    lines.some((line) =>
      /^(?:EnvironmentFile|LoadCredential\w*|PassEnvironment|ImportCredential)=\S/.test(line),
    ) ||
    lines.some((line) => line.startsWith('Environment=') && needed.some((name) => line.includes(`${name}=`)))
  const command = lines[index] ?? ''
  if (
    index === -1 ||
    isGiven ||
    wrapped.test(command) ||
    isLoadedByCode(look) ||
    startedBy(look, command.slice(10)) === undefined
  )
    return []
  const [name = 'OPENAI_API_KEY'] = needed
  const unit = path.slice(path.lastIndexOf('/') + 1)
  return [
    without(
      { kind: 'file', path, line: index + 1, name },
      'systemd starts services with variables of its own, and nothing of a shell or of its profile.',
      `In ${path}, under [Service], write: EnvironmentFile=/etc/${unit.replace(/\.service$/, '')}/env; put ${name}=<key> into that file with mode 0600; then: sudo systemctl daemon-reload && sudo systemctl restart ${unit}`,
    ),
  ]
}

function cron(look: Look, { path, text, needed }: LaunchFile): readonly Finding[] {
  const lines = text.split('\n', 2_000)
  if (isLoadedByCode(look) || lines.some((line) => needed.some((name) => line.trim().startsWith(`${name}=`))))
    return []
  const index = lines.findIndex(
    (line) =>
      /^\s*(?:@\w+|[\d*/,-]+(?:\s+[\w*/,-]+){4})\s/.test(line.slice(0, 1_000)) &&
      !wrapped.test(line) &&
      !needed.some((name) => line.includes(`${name}=`)) &&
      startedBy(look, line) !== undefined,
  )
  if (index === -1) return []
  const [name = 'OPENAI_API_KEY'] = needed
  return [
    without(
      { kind: 'file', path, line: index + 1, name },
      'cron starts commands with hardly any variables, and reads no profile of a shell.',
      `In ${path}:${index + 1} put in front of the command: set -a; . "$HOME/.config/openai.env"; set +a;`,
    ),
  ]
}

/** tox hands on only the variables that it is told to. */
function tox(look: Look, { path, text, needed }: LaunchFile): readonly Finding[] {
  const isGiven = /^\s*pass_?env\b/im.test(text)
    ? needed.some((name) => text.includes(name)) || /OPENAI_?\*|pass_?env\s*=\s*\*/i.test(text)
    : needed.some((name) => text.includes(`${name}=`) || text.includes(`${name} =`))
  const lines = text.split('\n', 2_000)
  const index = lines.findIndex((line) =>
    /^\s*(?:commands\s*=.*)?\b(?:pytest|python)\b/.test(line.slice(0, 500)),
  )
  if (isGiven || index === -1 || isLoadedByCode(look)) return []
  const line = lines[index] ?? ''
  if (!(/pytest/.test(line) && testsNeedKey(look.project)) && startedBy(look, line) === undefined) return []
  const [name = 'OPENAI_API_KEY'] = needed
  return [
    without(
      { kind: 'file', path, line: index + 1, name },
      'tox hands on only the variables that pass_env names.',
      `In ${path}, under [testenv], write: pass_env = ${name}`,
    ),
  ]
}

function launchd(look: Look, { path, text, needed }: LaunchFile): readonly Finding[] {
  const start = text.indexOf('<key>ProgramArguments</key>')
  if (
    start === -1 ||
    needed.some((name) => text.includes(name)) ||
    wrapped.test(text) ||
    isLoadedByCode(look)
  )
    return []
  const command = text.slice(start, start + 2_000).replaceAll(/<[^>]{0,40}>/g, ' ')
  if (startedBy(look, command) === undefined) return []
  const [name = 'OPENAI_API_KEY'] = needed
  return [
    without(
      { kind: 'file', path, line: text.slice(0, start).split('\n').length, name },
      'launchd starts programs with variables of its own, and reads no profile of a shell.',
      `launchctl setenv ${name} "$${name}"`,
    ),
  ]
}

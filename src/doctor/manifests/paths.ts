/** Made to be copied: what it holds is not in use. */
export function isTemplate(path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1)
  return /(?:^|[._-])(?:examples?|samples?|templates?|tpl|tmpl|dist|defaults?)(?:$|[._-])/i.test(name)
}

export function isDockerfile(path: string): boolean {
  return (
    /(?:^|\/)(?:Dockerfile|Containerfile)(?:\.[\w-]{1,60})?$|\.[Dd]ockerfile$/.test(path) &&
    !path.endsWith('.dockerignore')
  )
}

export function isCompose(path: string): boolean {
  return /(?:^|\/)(?:docker-)?compose(?:[.-][\w.-]{1,60})?\.ya?ml$/.test(path)
}

export function isWorkflow(path: string): boolean {
  return /(?:^|\/)\.github\/workflows\/[^/]{1,100}\.ya?ml$/.test(path)
}

export function isYaml(path: string): boolean {
  return /\.ya?ml$/.test(path)
}

export function folderOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : ''
}

export function inFolder(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`
}

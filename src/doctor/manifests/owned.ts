import { isDockerfile } from './paths.ts'

/** Files whose keys a check of their own tells, in their own words. */
export function hasOwnCheck(path: string, text: string): boolean {
  return (
    isDockerfile(path) ||
    /^\s*kind\s*:\s*["']?(?:ConfigMap|Secret|Deployment|StatefulSet|DaemonSet|CronJob|Job|Pod)\b/m.test(text)
  )
}

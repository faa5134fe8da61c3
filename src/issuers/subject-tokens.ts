import { readFile } from 'node:fs/promises'
import { errnoOf } from '../core/errno.ts'
import {
  type SubjectToken,
  type SubjectTokenContext,
  type SubjectTokenSource,
  tokenIn,
} from './subject-token.ts'
import { azureToken, googleToken } from './subject-tokens-cloud.ts'

/** Never rejects: that there is no token is an outcome, with what to do about it. */
export async function subjectToken(
  source: SubjectTokenSource,
  context: SubjectTokenContext,
): Promise<SubjectToken> {
  switch (source.kind) {
    case 'file':
      return fileToken(source.path)
    case 'env':
      return tokenIn(context.env[source.variable] ?? '', {
        where: `The variable ${source.variable}`,
        fix: `Set ${source.variable} to the identity token where Keyturn starts. A token that rotates belongs into a file: identity.subjectToken: { file: PATH }.`,
      })
    case 'azure':
      return azureToken(source, context)
    case 'google':
      return googleToken(source, context)
  }
}

async function fileToken(path: string): Promise<SubjectToken> {
  const fix = `Let the platform write the identity token to ${path}, readable by this user (Kubernetes: a projected serviceAccountToken volume).`
  try {
    return tokenIn(await readFile(path, 'utf8'), { where: `The file ${path}`, fix })
  } catch (thrown) {
    const what = errnoOf(thrown) === 'ENOENT' ? 'is not there' : 'cannot be read'
    return { kind: 'problem', problem: { summary: `The identity token file ${path} ${what}.`, fix } }
  }
}

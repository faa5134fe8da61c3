// The token exchange of workload identities. The sandbox knows no identity provider, so it always refuses, in the
// OAuth form, which is not the form of the rest of the API.

import { type JsonReply, json } from './call.ts'

export const TOKEN_PATH = '/oauth/token'

const SUBJECT_TOKEN = /"?subject_token"?\s*[:=]\s*"?[\w-]+\.[\w-]+\.[\w-]+/

/** A token that is none at all is told so; a well-formed one has no mapping. */
export function refuseToken(rawBody: string): JsonReply {
  return SUBJECT_TOKEN.test(rawBody)
    ? json(
        { error: 'invalid_grant', error_description: 'No identity provider mapping matches the token.' },
        400,
      )
    : json(
        { error: 'invalid_subject_token', error_description: 'The subject token could not be validated.' },
        401,
      )
}

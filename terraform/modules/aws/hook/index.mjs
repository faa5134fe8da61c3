// The function of the rotation schedule. Lambda mounts no files and injects no secrets: what Terraform made is written down
// when the function starts, and secrets (the password of the ledger among them) are read at each call, so that a turned one is used.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import { handler as turn } from 'keyturn/hooks/aws'

const { KEYTURN_CONFIG, KEYTURN_FILES_GZIP, KEYTURN_SECRETS } = process.env
const secrets = new SecretsManagerClient()

const folder = dirname(KEYTURN_CONFIG)
mkdirSync(folder, { recursive: true })
for (const [name, text] of Object.entries(JSON.parse(gunzipSync(Buffer.from(KEYTURN_FILES_GZIP, 'base64')))))
  writeFileSync(join(folder, name), text)

export async function handler(event, context) {
  for (const [name, SecretId] of Object.entries(JSON.parse(KEYTURN_SECRETS)))
    process.env[name] = (await secrets.send(new GetSecretValueCommand({ SecretId }))).SecretString
  return turn(event, context)
}

// The function of the rotation schedule. Lambda mounts no files and injects no secrets: what Terraform made is written down
// when the function starts, and the password of the ledger is read at each call, so that a turned one is used.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import { handler as turn } from 'keyturn/hooks/aws'

const { KEYTURN_CONFIG, KEYTURN_FILES_GZIP, KEYTURN_LEDGER_SECRET } = process.env
const secrets = new SecretsManagerClient()

const folder = dirname(KEYTURN_CONFIG)
mkdirSync(folder, { recursive: true })
for (const [name, text] of Object.entries(JSON.parse(gunzipSync(Buffer.from(KEYTURN_FILES_GZIP, 'base64')))))
  writeFileSync(join(folder, name), text)

export async function handler(event, context) {
  const { SecretString } = await secrets.send(new GetSecretValueCommand({ SecretId: KEYTURN_LEDGER_SECRET }))
  process.env.KEYTURN_LEDGER_PASSWORD = SecretString
  return turn(event, context)
}

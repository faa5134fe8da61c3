import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const digest = `@sha256:${'0'.repeat(64)}`

/** What the example of a cloud is given, and what its module is given of resources that are made in the same run. */
export interface Whole {
  readonly example: string
  readonly together: string
}

export const clouds = ['aws', 'google', 'azure'] as const
export type Cloud = (typeof clouds)[number]

const wholes: Readonly<Record<Cloud, Whole>> = {
  aws: {
    example: `
      image                  = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/keyturn${digest}"
      image_repository_arn   = "arn:aws:ecr:eu-central-1:123456789012:repository/keyturn"
      host_name              = "keyturn.example.com"
      certificate_arn        = "arn:aws:acm:eu-central-1:123456789012:certificate/1"
      zone_id                = "Z0123456789"
      ledger_ca_file         = "rds-ca.pem"
      openai_project         = "proj_abc"
      openai_service_account = "svc_acct_abc"
      operator_issuer        = "https://login.example.com"
      app_issuer             = "https://oidc.example.com"
      app_subject            = "system:serviceaccount:team-a:web"`,
    together: `
      image                     = "keyturn${digest}"
      image_repository_arn      = terraform_data.made.output
      vpc_id                    = terraform_data.made.output
      service_subnet_ids        = [terraform_data.made.output, terraform_data.other.output]
      database_subnet_ids       = [terraform_data.made.output, terraform_data.other.output]
      load_balancer_subnets     = { ids = [terraform_data.made.output, terraform_data.other.output], cidr_blocks = [terraform_data.made.output, terraform_data.other.output] }
      client_security_group_ids = { app = terraform_data.made.output }
      host_name                 = "keyturn.example.com"
      certificate_arn           = terraform_data.made.output
      zone                      = { id = terraform_data.made.output }
      alarm_topic_arns          = [terraform_data.made.output]
      reader_principals         = [terraform_data.made.output]
      environment_secrets       = { TEAM_URL = terraform_data.made.output }
      hook                      = { package = { bucket = terraform_data.made.output, key = "hook.zip", sha256 = "x" } }
      ledger_ca_pem             = "-----BEGIN CERTIFICATE-----"`,
  },
  google: {
    example: `
      project                = "my-project"
      image                  = "europe-west3-docker.pkg.dev/my-project/images/keyturn${digest}"
      openai_project         = "proj_abc"
      openai_service_account = "svc_acct_abc"
      operators              = ["thirty-letters-are-as-many-as-@my-project.iam.gserviceaccount.com"]
      apps                   = ["web@my-project.iam.gserviceaccount.com", "web@other.iam.gserviceaccount.com"]
      hook                   = { first_at = "2999-01-05T03:00:00Z" }`,
    together: `
      project               = "my-project"
      region                = "europe-west3"
      image                 = "keyturn${digest}"
      network_id            = terraform_data.made.output
      subnetwork_id         = terraform_data.made.output
      kms_key_name          = terraform_data.made.output
      notification_channels = [terraform_data.made.output]
      reader_members        = { app = terraform_data.made.output }
      environment_secrets   = { TEAM_URL = terraform_data.made.output }
      hook                  = { first_at = "2999-01-05T03:00:00Z" }`,
  },
  azure: {
    example: `
      name                   = "acme-keyturn"
      subscription_id        = "00000000-0000-0000-0000-000000000006"
      tenant_id              = "00000000-0000-0000-0000-000000000001"
      application_id         = "00000000-0000-0000-0000-000000000004"
      image                  = "acme.azurecr.io/keyturn${digest}"
      image_registry         = { server = "acme.azurecr.io", id = "/subscriptions/1/registries/acme" }
      terraform_addresses    = ["203.0.113.7"]
      openai_project         = "proj_abc"
      openai_service_account = "svc_acct_abc"`,
    together: `
      resource_group_name  = terraform_data.made.output
      location             = "germanywestcentral"
      image                = "keyturn${digest}"
      image_registry       = { server = terraform_data.made.output, id = terraform_data.made.output }
      virtual_network_id   = terraform_data.made.output
      service_subnet       = { id = terraform_data.made.output, address_prefix = "10.74.0.0/23" }
      database_subnet_id   = terraform_data.made.output
      database_dns_zone_id = terraform_data.made.output
      endpoints_subnet_id  = terraform_data.made.output
      vault_dns_zone_id    = terraform_data.made.output
      action_group_ids     = [terraform_data.made.output]
      reader_principal_ids = { app = terraform_data.made.output }
      environment_secrets  = { TEAM_URL = { versionless_id = terraform_data.made.output, resource_versionless_id = terraform_data.made.output } }`,
  },
}

/** The mocks that the module of a cloud is tested with. */
function mocksOf(terraform: string, cloud: Cloud): string {
  const text = readFileSync(join(terraform, `modules/${cloud}/tests/module.tftest.hcl`), 'utf8')
  return text.slice(text.indexOf('mock_provider'), text.indexOf('\nvariables {'))
}

/** Writes a test of the example beside it, as a whole; and says where. */
export function writeExampleTest(terraform: string, cloud: Cloud): string {
  const name = `examples/${cloud}`
  if (cloud === 'aws') writeFileSync(join(terraform, name, 'rds-ca.pem'), '-----BEGIN CERTIFICATE-----\n')
  const run = `run "the_whole" {\n  command = apply\n  variables {${wholes[cloud].example}\n  }\n}\n`
  writeFileSync(join(terraform, name, 'whole.tftest.hcl'), `${mocksOf(terraform, cloud)}\n${run}`)
  return name
}

/** Writes a configuration whose module is given what is known only once it is applied; and says where. */
export function writeTogether(terraform: string, cloud: Cloud): string {
  const name = `together/${cloud}`
  const folder = join(terraform, name)
  mkdirSync(folder, { recursive: true })
  const source = cloud === 'azure' ? 'azurerm' : cloud
  const provider = `terraform {\n  required_providers {\n    ${source} = { source = "hashicorp/${source}" }\n  }\n}\n`
  const credentials = `
      issuers     = { main = { project = "proj_abc", service_account = "svc_acct_abc" } }
      credentials = { openai = { issuer = "main" } }
      settings    = { access = { jwt = [{ name = "apps", issuer = "https://\${terraform_data.made.output}", audience = "keyturn", claims = { sub = "app" }, grants = [{ credentials = ["openai"], may = ["read"] }] }] } }`
  // Of `id` Terraform knows that it will not be null, as it does not of what other providers make.
  const made = ['made', 'other'].map(
    (label) => `resource "terraform_data" "${label}" {\n  input = timestamp()\n}\n`,
  )
  const call = `module "keyturn" {\n  source = "../../modules/${cloud}"${credentials}${wholes[cloud].together}\n}\n`
  writeFileSync(join(folder, 'main.tf'), `${made.join('')}${provider}${call}`)
  writeFileSync(
    join(folder, 'together.tftest.hcl'),
    `${mocksOf(terraform, cloud)}\nrun "together" {\n  command = plan\n}\n`,
  )
  return name
}

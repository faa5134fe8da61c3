import { beforeAll, describe, expect, test } from 'vitest'
import { problemsOf } from './check.ts'
import { openParser } from './hcl.ts'
import { loadModule, type Module, moduleFolders, moduleOf, type Parse, terraformFolder } from './modules.ts'
import { loadSchemas } from './schema.ts'

const schemas = loadSchemas()
let parse: Parse
let modules: readonly Module[]

beforeAll(async () => {
  parse = await openParser()
  modules = moduleFolders().map((folder) => loadModule(folder, parse))
})

test('every name in every module is one that the providers and the module know', () => {
  expect(modules.length).toBeGreaterThanOrEqual(10)
  expect(modules.flatMap((module) => problemsOf(module, schemas, modules))).toEqual([])
})

test('schemas are kept of what is used, and of nothing else', () => {
  const used = new Set(
    modules.flatMap(({ blocks }) => blocks.map(({ type, labels }) => `${type} ${labels[0] ?? ''}`)),
  )
  const kept = schemas.flatMap((schema) =>
    (['resource', 'data', 'ephemeral'] as const).flatMap((kind) =>
      Object.keys(schema[kind]).map((type) => `${kind} ${type}`),
    ),
  )
  expect(kept.length).toBeGreaterThan(90)
  expect(kept.filter((one) => !used.has(one))).toEqual([])
})

describe('what is refused', () => {
  const providers = `terraform {
    required_providers {
      aws = {
        source  = "hashicorp/aws"
        version = "~> 6.25"
      }
    }
  }`
  const problems = (text: string) => {
    const folder = `${terraformFolder}/examples/planted`
    const module = moduleOf(folder, [{ path: `${folder}/main.tf`, text: `${providers}\n${text}` }], parse)
    return problemsOf(module, schemas, modules)
  }

  test.each([
    ['resource "aws_bucket_of_gold" "x" {}', 'unknown type'],
    ['resource "aws_kms_alias" "x" { target_key_id = "k"\n nome = "x" }', 'unknown argument nome'],
    ['resource "aws_kms_alias" "x" { name = "alias/x" }', 'target_key_id is required'],
    ['resource "aws_kms_alias" "x" { target_key_id = "k"\n arn = "x" }', "arn is the provider's to say"],
    ['resource "aws_kms_alias" "x" {\n  target_key_id = "k"\n  timer {}\n}', 'unknown block timer'],
    ['resource "aws_lb_listener" "x" { load_balancer_arn = "a" }', 'a block default_action is required'],
    [
      'resource "aws_lb_listener" "x" {\n  load_balancer_arn = "a"\n  default_action {}\n}',
      '.default_action: type is required',
    ],
    [
      'data "aws_iam_policy_document" "x" {\n  dynamic "statement" {\n    for_each = []\n    content {\n      akshuns = []\n    }\n  }\n}',
      '.statement: line 13: unknown argument akshuns',
    ],
    ['output "x" {\n  description = "An output."\n  value = aws_kms_key.this.arn\n}', 'is not declared'],
    [
      'data "aws_region" "x" {}\noutput "x" {\n  description = "An output."\n  value = data.aws_region.x.colour\n}',
      'aws_region has no such attribute',
    ],
    [
      'resource "aws_eip" "x" {}\noutput "x" {\n  description = "An output."\n  value = [for one in aws_eip.x[*] : one.id if length(aws_eip.x.public_up) > 0]\n}',
      'aws_eip has no such attribute',
    ],
    [
      'output "x" {\n  description = "An output."\n  value = "${upper(var.name)}/x"\n}',
      'var.name is not declared',
    ],
    ['output "x" {\n  description = "An output."\n  value = local.x["a"]\n}', 'local.x.[…] is not declared'],
    ['locals {\n  x = 1\n}', 'local.x is not used'],
    ['variable "x" {\n  type = string\n  description = "A variable."\n}', 'variable x is not used'],
    ['output "x" {\n  value = 1\n}', 'output x has no description'],
    ['module "x" {\n  source = "../nowhere"\n}', 'its source is no module here'],
    ['module "x" {\n  source = "../../modules/aws/network"\n}', 'availability_zones is required'],
    [
      'module "x" {\n  source = "../../modules/aws/network"\n  availability_zones = []\n  colour = 1\n}',
      'modules/aws/network has no input colour',
    ],
    [
      'module "x" {\n  source = "../../modules/aws/network"\n  availability_zones = []\n}\noutput "x" {\n  description = "An output."\n  value = module.x.colour\n}',
      'module.x.colour is not declared',
    ],
    [
      'resource "google_sql_user" "x" {\n  name = "x"\n  instance = "y"\n}',
      'google is not in required_providers',
    ],
  ])('%s', (text, problem) => {
    expect(problems(text).join('\n')).toContain(problem)
  })

  test('what is no HCL', () => {
    expect(() => problems('resource "aws_eip" {')).toThrow('is not HCL')
  })
})

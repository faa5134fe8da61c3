import { describe, expect, it } from 'vitest'
import { newKey } from '../keys.ts'
import { type About, codesAt, lines, lookAt, type Texts } from './look.ts'

const env = { OPENAI_API_KEY: newKey() }
const base64 = (text: string) => Buffer.from(text).toString('base64')
const app = { 'app.py': lines('from openai import OpenAI', 'client = OpenAI()') }
const server = { 'server.js': lines("import OpenAI from 'openai'", 'const client = new OpenAI()') }

const compose = (...rest: readonly string[]) => lines('services:', '  web:', '    image: web', ...rest)
const secret = (...rest: readonly string[]) =>
  lines('apiVersion: v1', 'kind: Secret', 'metadata:', '  name: openai', ...rest)
const deployment = (...rest: readonly string[]) =>
  lines(
    'apiVersion: apps/v1',
    'kind: Deployment',
    'metadata:',
    '  name: web',
    'spec:',
    '  template:',
    '    spec:',
    '      containers:',
    '        - name: web',
    ...rest,
  )
const fromSecret = (name: string, key: string) =>
  deployment(
    '          env:',
    '            - name: OPENAI_API_KEY',
    '              valueFrom:',
    `                secretKeyRef: { name: ${name}, key: ${key} }`,
  )
const workflow = (...rest: readonly string[]) =>
  lines(
    'on: push',
    'jobs:',
    '  test:',
    '    runs-on: ubuntu-latest',
    '    steps:',
    '      - uses: actions/checkout@v5',
    ...rest,
  )

type Row = readonly [name: string, codes: readonly string[], texts: Texts, about?: About]

const rows: readonly Row[] = [
  // T27
  [
    'ENV with a key',
    ['image_holds_key Dockerfile:2'],
    { Dockerfile: lines('FROM node', `ENV OPENAI_API_KEY=${newKey()}`) },
  ],
  [
    'ENV over several lines',
    ['image_holds_key Dockerfile:2'],
    { Dockerfile: lines('FROM node', 'ENV A=1 \\', '  # a comment', `  OPENAI_API_KEY="${newKey()}"`) },
  ],
  [
    'ARG and ENV of one name, once',
    ['image_holds_key Dockerfile:3'],
    {
      Dockerfile: lines(
        'FROM node',
        'WORKDIR /app',
        'ARG OPENAI_API_KEY',
        'ENV OPENAI_API_KEY=$OPENAI_API_KEY',
      ),
    },
  ],
  [
    'ENV with a placeholder',
    ['key_placeholder Dockerfile:2'],
    { Dockerfile: lines('FROM node', 'ENV OPENAI_API_KEY your-key-here') },
  ],
  [
    'a key in a RUN',
    ['image_holds_key Dockerfile:2'],
    { Dockerfile: lines('FROM node', `RUN echo ${newKey()} > /key`) },
  ],
  [
    'a .env that is copied',
    ['image_holds_key Dockerfile:2'],
    {
      Dockerfile: lines('FROM node', 'COPY . .'),
      '.env': `OPENAI_API_KEY=${newKey()}`,
      '.dockerignore': 'node_modules',
    },
  ],
  [
    'a .env that an exception lets in',
    ['image_holds_key Dockerfile:2'],
    {
      Dockerfile: lines('FROM node', 'COPY .env ./'),
      '.env': `OPENAI_API_KEY=${newKey()}`,
      '.dockerignore': lines('.env*', '!.env'),
    },
  ],
  [
    'a build argument of a command',
    ['image_holds_key Makefile:2'],
    { Makefile: lines('build:', '\tdocker build --build-arg OPENAI_API_KEY=$(OPENAI_API_KEY) .') },
  ],
  [
    'an empty variable of compose',
    ['compose_variable_empty compose.yaml:5'],
    { 'compose.yaml': compose('    environment:', '      - OPENAI_API_KEY=') },
    { env },
  ],
  [
    'an empty variable of a map',
    ['compose_variable_empty docker-compose.yml:5'],
    { 'docker-compose.yml': compose('    environment:', '      OPENAI_API_KEY: ""') },
    { env },
  ],
  [
    'a reference that nothing sets',
    ['compose_variable_empty compose.yaml:5'],
    { 'compose.yaml': compose('    environment:', '      - OPENAI_API_KEY=${OPENAI_API_KEY}') },
  ],
  [
    'a reference that overwrites env_file',
    ['compose_variable_empty compose.yaml:6'],
    {
      'compose.yaml': compose(
        '    env_file: [web.env]',
        '    environment:',
        '      OPENAI_API_KEY: ${OPENAI_API_KEY:-}',
      ),
      'web.env': `OPENAI_API_KEY=${newKey()}`,
    },
    { ignored: ['web.env'] },
  ],
  [
    'a placeholder in compose',
    ['key_placeholder compose.yaml:5'],
    { 'compose.yaml': compose('    environment:', '      - OPENAI_API_KEY=sk-your-key') },
  ],
  [
    'a key in compose',
    ['key_in_repository compose.yaml:5'],
    { 'compose.yaml': compose('    environment:', `      - OPENAI_API_KEY=${newKey()}`) },
  ],
  // T28
  [
    'a key in a ConfigMap',
    ['config_map_holds_key k8s/c.yaml:6'],
    {
      'k8s/c.yaml': lines(
        'apiVersion: v1',
        'kind: ConfigMap',
        'metadata:',
        '  name: web',
        'data:',
        `  OPENAI_API_KEY: ${newKey()}`,
      ),
    },
  ],
  [
    'a key as a plain value',
    ['config_map_holds_key d.yaml:11'],
    {
      'd.yaml': deployment(
        '          env:',
        '            - name: OPENAI_API_KEY',
        `              value: ${newKey()}`,
      ),
    },
  ],
  [
    'a key in an argument',
    ['key_in_repository d.yaml:10'],
    { 'd.yaml': deployment(`          args: ["--key", "${newKey()}"]`) },
  ],
  [
    'a placeholder as a plain value',
    ['key_placeholder d.yaml:11'],
    {
      'd.yaml': deployment(
        '          env:',
        '            - name: OPENAI_API_KEY',
        '              value: changeme',
      ),
    },
  ],
  [
    'an empty plain value',
    ['secret_reference_missing d.yaml:11'],
    {
      'd.yaml': deployment('          env:', '            - name: OPENAI_API_KEY', '              value: ""'),
    },
  ],
  [
    'a ConfigMap that is not among the files',
    ['config_map_holds_key d.yaml:11'],
    {
      'd.yaml': deployment(
        '          env:',
        '            - name: OPENAI_API_KEY',
        '              valueFrom: { configMapKeyRef: { name: a, key: b } }',
      ),
    },
  ],
  [
    'a Secret that no manifest makes',
    ['secret_reference_missing k/d.yaml:13'],
    {
      'k/d.yaml': fromSecret('openai-key', 'key'),
      'k/s.yaml': secret('data:', `  key: ${base64('sk-...')}`),
    },
  ],
  [
    'a key that the Secret lacks',
    ['secret_reference_missing k/d.yaml:13'],
    { 'k/d.yaml': fromSecret('openai', 'api-key'), 'k/s.yaml': secret('stringData:', '  apikey: <key>') },
  ],
  [
    'a key that the ExternalSecret lacks',
    ['secret_reference_missing k/d.yaml:13'],
    {
      'k/d.yaml': fromSecret('openai', 'api-key'),
      'k/s.yaml': lines(
        'apiVersion: external-secrets.io/v1',
        'kind: ExternalSecret',
        'metadata: { name: openai }',
        'spec:',
        '  data:',
        '    - secretKey: OPENAI_API_KEY',
      ),
    },
  ],
  [
    'a Secret of another namespace',
    ['secret_reference_missing a.yaml:15'],
    {
      'a.yaml': `${lines('apiVersion: v1', 'kind: Pod', 'metadata: { name: web, namespace: live }', 'spec:', '  containers:', '    - name: web', '      env:', '        - name: A', '          value: b', '        - name: B', '          value: c', '        # the key', '', '        - name: OPENAI_API_KEY', '          valueFrom: { secretKeyRef: { name: openai, key: key } }')}---\n${secret('  namespace: test', 'stringData: { key: <key> }')}`,
    },
  ],
  [
    'a Secret whose key is no name of a variable',
    ['secret_reference_missing d.yaml:11'],
    {
      'd.yaml': deployment('          envFrom:', '            - secretRef: { name: openai }'),
      's.yaml': secret('stringData: { openai-api-key: <key> }'),
    },
  ],
  // T04, T29 in a Secret
  [
    'a line end in the base64 of a Secret',
    ['key_stray_characters s.yaml:6'],
    { 's.yaml': secret('data:', `  OPENAI_API_KEY: ${base64(`${newKey()}\n`)}`) },
  ],
  [
    'a Secret that is committed',
    ['key_in_repository s.yaml:6'],
    { 's.yaml': secret('data:', `  OPENAI_API_KEY: ${base64(newKey())}`) },
    { tracked: ['s.yaml'] },
  ],
  // T02 and T24 in manifests
  [
    'a name that the program does not read',
    ['variable_misnamed d.yaml:11'],
    {
      ...app,
      'd.yaml': deployment(
        '          env:',
        '            - name: OPENAI_KEY',
        '              valueFrom: { secretKeyRef: { name: openai, key: key } }',
      ),
    },
  ],
  [
    'a base URL without /v1',
    ['base_url_wrong d.yaml:12'],
    {
      'd.yaml': deployment(
        '          env:',
        '            - name: OPENAI_BASE_URL',
        '              value: https://api.openai.com',
      ),
    },
  ],
  // T30
  [
    'a step without the variable',
    ['platform_variable_missing .github/workflows/a.yml:7'],
    { ...app, '.github/workflows/a.yml': workflow('      - run: python app.py') },
  ],
  [
    'a step that runs a script of package.json',
    ['platform_variable_missing .github/workflows/a.yml:9'],
    {
      ...server,
      'package.json': '{"scripts":{"evals":"node server.js"}}',
      '.github/workflows/a.yml': workflow(
        '      - name: evals',
        '        env: { CI: 1 }',
        '        run: npm run evals',
      ),
    },
  ],
  [
    'a step that runs tests with the real key',
    ['platform_variable_missing .github/workflows/a.yml:7'],
    {
      ...app,
      'tests/test_app.py': lines(
        'from app import client',
        'def test_it():',
        '    assert client.models.list()',
      ),
      '.github/workflows/a.yml': workflow('      - run: pytest'),
    },
  ],
  [
    'a step with the variable under another name',
    ['variable_misnamed .github/workflows/a.yml:9'],
    {
      ...app,
      '.github/workflows/a.yml': workflow(
        '      - run: python app.py',
        '        env:',
        '          OPENAI_KEY: ${{ secrets.OPENAI_API_KEY }}',
      ),
    },
  ],
  [
    'functions of serverless.yml',
    ['platform_variable_missing serverless.yml:5'],
    {
      ...app,
      'serverless.yml': lines(
        'provider:',
        '  name: aws',
        '  runtime: python3.13',
        'functions:',
        '  web:',
        '    handler: app.handler',
      ),
    },
  ],
  [
    'a function of SAM',
    ['platform_variable_missing template.yaml:2'],
    {
      ...app,
      'template.yaml': lines(
        'Resources:',
        '  Web:',
        '    Type: AWS::Serverless::Function',
        '    Properties: { Handler: app.handler }',
      ),
    },
  ],
  [
    'a service of App Engine',
    ['platform_variable_missing app.yaml:1'],
    { ...app, 'app.yaml': lines('runtime: python313') },
  ],
  // T37
  [
    'a systemd unit',
    ['launch_without_variable web.service:2'],
    { ...app, 'web.service': lines('[Service]', 'ExecStart=/usr/bin/python3 /srv/web/app.py') },
    { env },
  ],
  [
    'a crontab',
    ['launch_without_variable deploy/crontab:2'],
    { ...app, 'deploy/crontab': lines('SHELL=/bin/sh', '*/5 * * * * cd /srv && python3 app.py') },
    { env },
  ],
  [
    'tox',
    ['launch_without_variable tox.ini:2'],
    {
      ...app,
      'tests/test_app.py': lines('from app import client', 'def test_it(): client.models.list()'),
      'tox.ini': lines('[testenv]', 'commands = pytest'),
    },
    { env },
  ],
  [
    'launchd',
    ['launch_without_variable a.plist:1'],
    {
      ...app,
      'a.plist': '<key>ProgramArguments</key><array><string>python3</string><string>app.py</string></array>',
    },
    { env },
  ],
  [
    'a launch configuration beside a flag that loads .env',
    ['launch_without_variable .vscode/launch.json:4'],
    {
      ...server,
      'package.json': '{"scripts":{"start":"node --env-file=.env server.js"}}',
      '.env': `OPENAI_API_KEY=${newKey()}`,
      '.vscode/launch.json': lines(
        '{',
        '  // for the editor',
        '  "configurations": [',
        '    { "name": "server", "type": "node", "request": "launch", "program": "${workspaceFolder}/server.js", },',
        '  ],',
        '}',
      ),
    },
    { ignored: ['.env'] },
  ],
]

describe('manifests', () => {
  it.each(rows.map(([name, ...rest]) => [name, rest] as const))(
    '%s: found, and nothing else',
    async (_name, [codes, texts, about]) => {
      expect(await codesAt(texts, about)).toEqual(codes)
    },
  )
})

const healthy: readonly (readonly [name: string, texts: Texts, about?: About])[] = [
  [
    'an image without a key',
    {
      Dockerfile: lines(
        'FROM node',
        'ENV NODE_ENV=production',
        'RUN --mount=type=secret,id=openai_api_key true',
        'COPY . .',
      ),
      '.env': `OPENAI_API_KEY=${newKey()}`,
      '.dockerignore': lines('# no secrets', '**/.env*'),
    },
    { ignored: ['.env'] },
  ],
  [
    'a .env that only an earlier stage copies',
    {
      Dockerfile: lines('FROM node AS build', 'COPY . .', 'FROM node', 'COPY --from=build /app/dist .'),
      '.env': `OPENAI_API_KEY=${newKey()}`,
    },
    { ignored: ['.env'] },
  ],
  ['an empty default of an image', { Dockerfile: lines('FROM node', 'ENV OPENAI_API_KEY=""') }],
  [
    'compose that passes on what is set',
    { 'compose.yaml': compose('    environment:', '      - OPENAI_API_KEY', '      - OPENAI_ORG_ID=') },
    { env },
  ],
  [
    'compose that takes it from its .env',
    {
      'compose.yaml': compose('    environment:', '      OPENAI_API_KEY: ${OPENAI_API_KEY}'),
      '.env': `OPENAI_API_KEY=${newKey()}`,
    },
    { ignored: ['.env'] },
  ],
  [
    'compose with env_file alone',
    {
      'compose.yaml': compose('    env_file: .env', '    environment: [OPENAI_API_KEY]'),
      '.env': `OPENAI_API_KEY=${newKey()}`,
    },
    { ignored: ['.env'] },
  ],
  [
    'compose that stops with a message',
    { 'compose.yaml': compose('    environment:', '      OPENAI_API_KEY: ${OPENAI_API_KEY:?is not set}') },
  ],
  [
    'a secretKeyRef whose Secret is there',
    { 'k/d.yaml': fromSecret('openai', 'key'), 'k/s.yaml': secret('stringData: { key: <key> }') },
  ],
  ['a Secret that is made elsewhere', { 'k/d.yaml': fromSecret('openai', 'key') }],
  [
    'a Secret of an operator',
    {
      'k/d.yaml': fromSecret('openai', 'key'),
      'k/s.yaml': lines(
        'apiVersion: external-secrets.io/v1',
        'kind: ExternalSecret',
        'metadata: { name: a }',
        'spec: { target: { name: openai }, dataFrom: [{ extract: { key: a } }] }',
      ),
    },
  ],
  [
    'a Secret of kustomize',
    {
      'k/d.yaml': fromSecret('openai', 'key'),
      'k/kustomization.yaml': lines('secretGenerator:', '  - name: openai', '    envs: [.env]'),
    },
  ],
  [
    'an optional reference',
    {
      'k/d.yaml': fromSecret('other, optional: true', 'key'),
      'k/s.yaml': secret('stringData: { key: <key> }'),
    },
  ],
  [
    'a Secret without strays that is ignored',
    { 's.yaml': secret('data:', `  OPENAI_API_KEY: ${base64(newKey())}`) },
    { ignored: ['s.yaml'] },
  ],
  [
    'a name of a secret in a ConfigMap',
    { 'c.yaml': lines('apiVersion: v1', 'kind: ConfigMap', 'data:', '  OPENAI_API_KEY_SECRET_NAME: openai') },
  ],
  [
    'a workflow with the variable at the step, the job or the top',
    {
      ...app,
      '.github/workflows/a.yml': workflow(
        '      - run: python app.py',
        '        env: { OPENAI_API_KEY: "${{ secrets.OPENAI_API_KEY }}" }',
      ),
      '.github/workflows/b.yml': `env: { OPENAI_API_KEY: a }\n${workflow('      - run: python app.py')}`,
    },
  ],
  [
    'a workflow that runs no such program',
    {
      ...app,
      '.github/workflows/a.yml': workflow('      - run: npm run lint', '      - run: python other.py'),
    },
  ],
  [
    'a workflow whose tests stand in for OpenAI',
    {
      ...app,
      'tests/test_app.py': lines('from app import client', 'from unittest.mock import patch'),
      '.github/workflows/a.yml': workflow('      - run: pytest'),
    },
  ],
  [
    'a workflow that fetches the key',
    {
      ...app,
      '.github/workflows/a.yml': workflow(
        '      - uses: hashicorp/vault-action@v3',
        '      - run: python app.py',
      ),
    },
  ],
  [
    'a function with the variable',
    {
      ...app,
      'serverless.yml': lines(
        'provider:',
        '  environment: { OPENAI_API_KEY: "${ssm:/a}" }',
        'functions: { web: { handler: app.handler } }',
      ),
    },
  ],
  [
    'a function that fetches the key',
    {
      'app.py': lines(
        'import boto3',
        'from openai import OpenAI',
        'boto3.client("secretsmanager")',
        'OpenAI()',
      ),
      'template.yaml': lines('Resources:', '  Web: { Type: AWS::Serverless::Function }'),
    },
  ],
  [
    'a unit with an EnvironmentFile',
    {
      ...app,
      'web.service': lines(
        '[Service]',
        'EnvironmentFile=/etc/web/env',
        'ExecStart=/usr/bin/python3 /srv/web/app.py',
      ),
    },
    { env },
  ],
  [
    'a unit of another program',
    { ...app, 'web.service': lines('[Service]', 'ExecStart=/usr/sbin/nginx') },
    { env },
  ],
  [
    'a crontab that sets it',
    { ...app, crontab: lines('OPENAI_API_KEY=a', '* * * * * python3 app.py') },
    { env },
  ],
  [
    'a crontab whose program loads .env',
    {
      'app.py': lines(
        'from dotenv import load_dotenv',
        'load_dotenv()',
        'from openai import OpenAI',
        'OpenAI()',
      ),
      '.env': `OPENAI_API_KEY=${newKey()}`,
      crontab: '* * * * * python3 app.py',
    },
    { ignored: ['.env'] },
  ],
  [
    'tox that hands it on',
    {
      ...app,
      'tests/test_app.py': lines('from app import client'),
      'tox.ini': lines('[testenv]', 'pass_env =', '    OPENAI_*', 'commands = pytest'),
    },
    { env },
  ],
  [
    'a launch configuration with an envFile',
    {
      ...server,
      '.env': `OPENAI_API_KEY=${newKey()}`,
      '.vscode/launch.json':
        '{"configurations":[{"name":"a","type":"node","request":"launch","program":"server.js","envFile":".env"}]}',
    },
    { ignored: ['.env'] },
  ],
  [
    'a launch configuration of an editor that has the key',
    {
      ...server,
      '.vscode/launch.json':
        '{"configurations":[{"name":"a","type":"node","request":"launch","program":"server.js"}]}',
    },
    { env },
  ],
  [
    'templates of Helm',
    {
      'templates/d.yaml': lines(
        'kind: Deployment',
        'spec:',
        '  {{- if .Values.openai }}',
        '  key: {{ .Values.openai }}',
        '  {{- end }}',
      ),
    },
  ],
]

describe('healthy manifests', () => {
  it.each(healthy.map(([name, ...rest]) => [name, rest] as const))(
    '%s: nothing is found',
    async (_name, [texts, about]) => {
      expect(await codesAt(texts, about)).toEqual([])
    },
  )
})

describe('what is told of a stray character', () => {
  it('is where it stands, and by which command the Secret is made anew', async () => {
    const [finding] = await lookAt({
      's.yaml': secret('data:', `  OPENAI_API_KEY: ${base64(`${newKey()}\n`)}`),
    })
    expect(finding?.seen).toBe(
      's.yaml:6: OPENAI_API_KEY of the Secret openai has line feed at position 164 of 165 in its base64.',
    )
    expect(finding?.fix).toContain(
      'kubectl create secret generic openai --from-literal=OPENAI_API_KEY="$OPENAI_API_KEY"',
    )
  })
})

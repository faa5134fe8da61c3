import type { ArgumentSpec, OptionSpec } from '../command.ts'

/** Arguments and options that several commands have. */

export const name: ArgumentSpec = {
  name: 'name',
  description: 'The credential, e.g. openai.',
  offers: 'credentials',
}

export const version: ArgumentSpec = {
  name: 'version',
  description: 'A version id, its beginning, or a fingerprint.',
  offers: 'versions',
}

export const reason: OptionSpec = {
  flags: '--reason <text>',
  description: 'Why, in at most 500 characters; kept with the rotation and shown to others.',
}

export const confirm: OptionSpec = {
  flags: '--confirm <name>',
  description: "The credential's name, where nobody is there to type it.",
  offers: 'credentials',
}

export const configFile: OptionSpec = {
  flags: '--config <file>',
  description: 'Read this file and no other.',
  offers: 'files',
}

export const publicKey: OptionSpec = {
  flags: '--key <file>',
  description: 'The public key, as PEM or JWK (keyturn report key).',
  offers: 'files',
}

export const publicKeyId: OptionSpec = {
  flags: '--key-id <id>',
  description: 'The id of the key, where you have compared it.',
}

/** Every command has it. */
export const json: OptionSpec = {
  flags: '--json',
  description: 'Print the result as JSON, and errors as one line of JSON.',
}

export const usual = '0 done, 1 failed, 2 wrong usage'

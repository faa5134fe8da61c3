import { app } from '@azure/functions'
import { ask } from './ask.mjs'

app.http('ask', { methods: ['POST'], authLevel: 'function', handler: ask })

import { createRotationHandler, type RotationHandler } from './aws-rotation.ts'

/** `keyturn/hooks/aws`: what the file of a Lambda function exports. With the environment and folder of the process. */
export const handler: RotationHandler = createRotationHandler({ env: process.env, cwd: process.cwd() })

export type { RotationContext, RotationHandlerOptions } from './aws-rotation.ts'
export { createRotationHandler, type RotationHandler }

/** Owns the error of a command that was given wrong words: exit code 2. */

import { TelltaleError } from '../platform/errors.ts'

export class UsageError extends TelltaleError {
  constructor(message: string) {
    super('wrong-usage', message)
  }
}

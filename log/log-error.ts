/** Owns the error of a log. */

import { TelltaleError } from '../platform/errors.ts'

/** `log-busy` and `log-full`: refused now, try again later. `log-failed`: the disk refused. `log-locked`: another broker. */
export class LogError extends TelltaleError {}

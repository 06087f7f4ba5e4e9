/** Owns the simulator's typed error. */

import { TelltaleError } from '../../platform/errors.ts'

/**
 * Codes: `unknown-stream`, `unsupported-field`, `message-too-large`, `bad-credentials`, `refused` (the broker said no to
 * a device's credentials) and `unreachable` (no device could connect).
 */
export class SimulatorError extends TelltaleError {}

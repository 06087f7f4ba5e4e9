/** Owns the simulator's typed error. */

import { TelltaleError } from '../../platform/errors.ts'

/**
 * Codes: `unknown-stream`, `unknown-version`, `unsupported-field`, `unsupported-format`, `message-too-large`, `bad-credentials`,
 * `refused` (the broker said no to a device's credentials), `unreachable` (no device could connect) and `bad-run` (a run folder
 * that cannot be read).
 */
export class SimulatorError extends TelltaleError {}

/** Owns what can be wrong with an identity. */

import { TelltaleError } from '../platform/errors.ts'

/**
 * `token-missing`, `token-invalid`, `token-expired`, `token-revoked` for what was shown; `bad-key` for a key file; `bad-device`,
 * `bad-filter`, `too-many` for what was asked for.
 */
export class IdentityError extends TelltaleError {}

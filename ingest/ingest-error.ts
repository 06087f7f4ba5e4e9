/** Owns the error by which the ingest role ends: what its owner turns into an exit. */

import { TelltaleError } from '../platform/errors.ts'

/** Code `ingest-failed`. */
export class IngestError extends TelltaleError {}

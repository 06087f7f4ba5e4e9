/** Owns what a wrong setting is to whoever shows it: a line that names the variable, its value and what is allowed. */

import { TelltaleError } from './errors.ts'

export class SettingsError extends TelltaleError {}

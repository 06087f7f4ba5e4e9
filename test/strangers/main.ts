/** Owns `npm run strangers`: builds the devices of client libraries that are not JavaScript's. */

import { buildAll } from './devices.ts'

if (!buildAll()) process.exitCode = 1

/**
 * Owns loading uWebSockets.js. Not by `import`: on Node 20, that of a CommonJS module which throws, as this one does without a
 * binary that fits, rejects a second promise that nobody can catch (tried on 20.20).
 */

import { createRequire } from 'node:module'

export const uWS = createRequire(import.meta.url)('uWebSockets.js') as typeof import('uWebSockets.js')

/** The first file of a worker thread: plain JavaScript, for a thread does not inherit the TypeScript loader of its parent. */

import { register } from 'tsx/esm/api'

register()
await import('./worker.ts')

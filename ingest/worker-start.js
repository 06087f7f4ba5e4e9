/**
 * The first file of a worker thread: plain JavaScript, for a thread does not inherit the TypeScript loader of its parent.
 *
 * On Linux a priority is a thread's own, and the threads it starts inherit it: decoding and the embedded store give way
 * to the main thread, so that acknowledgements and live readings do not wait behind them when the cores are busy
 * (`npm run bench -- --only live` on two cores: p99 47 ms without, 31 ms with it).
 */

import { setPriority } from 'node:os'
import { register } from 'tsx/esm/api'

const BELOW_NORMAL = 10

setPriority(BELOW_NORMAL)
register()
await import('./worker.ts')

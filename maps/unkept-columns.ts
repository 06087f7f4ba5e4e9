/**
 * Owns that it is told when columns that were learnt cannot be kept, as on a full disk: they hold until the process ends, and may then come in
 * another order. Once a stream in the log, and all of them by a counter. Bound: the streams that maps make.
 */

import { Counter } from 'prom-client'
import type { Logger } from '../platform/logger.ts'
import type { Metrics } from '../platform/metrics.ts'

export interface Unkept {
  readonly stream: string
  readonly columns: number
  readonly reason: string
}

export type TellsUnkept = (unkept: Unkept) => void

export class UnkeptColumns {
  readonly #logger: Logger
  readonly #count: Counter
  readonly #told = new Set<string>()

  /** Without `metrics` of a command, which serves none. */
  constructor({ logger, metrics }: { readonly logger: Logger; readonly metrics: Metrics | undefined }) {
    this.#logger = logger
    this.#count = new Counter({
      name: 'telltale_maps_columns_unkept_total',
      help: 'Columns that were learnt and could not be written down, by each thread that learnt them',
      registers: metrics === undefined ? [] : [metrics],
    })
  }

  readonly tell: TellsUnkept = ({ stream, columns, reason }) => {
    this.#count.inc(columns)
    if (this.#told.has(stream)) return
    this.#told.add(stream)
    this.#logger.error(
      { stream, reason },
      `columns that were learnt of ${stream} cannot be written down: after a restart history lacks them until they come again`,
    )
  }
}

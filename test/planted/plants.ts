/**
 * Owns the faults that are planted in builds of ours, one in each: mistakes that a person could make, on purpose where a message passes. Each
 * goes wrong now and then, by count, as such mistakes do.
 *
 * Always true: `find` stands in the file exactly once, or the build is refused: a plant whose place is gone shows nothing. What is found of each
 * is told by code, and by the stage at which it is wrong; where nothing outside of the platform could tell two stages apart, both are right.
 */

import type { FindingCode, Stage } from '../../devices/simulator/report/summary.ts'

export interface Change {
  readonly file: string
  readonly find: string
  readonly replace: string
}

export interface Found {
  readonly codes: readonly FindingCode[]
  readonly stages: readonly Stage[]
  /** What follows from it, and may be found, too. */
  readonly besides?: readonly `${FindingCode} at ${Stage}`[]
}

/** What a run needs beside the usual for the fault to show. */
export interface Needs {
  /** Kills of the platform, evenly over the run. */
  readonly kills?: number
  /** A real InfluxDB 2.7 as the store. */
  readonly influx?: boolean
}

export interface Plant {
  readonly name: string
  readonly changes: readonly Change[]
  readonly needs?: Needs
  readonly found: Found
}

/** True each `n`th time that it is asked at this place. */
const each = (n: number, place: string) => `((globalThis.${place} = (globalThis.${place} ?? 0) + 1) % ${n} === 0)`

const ADMISSION = 'broker/admission/admission.ts'
const APPEND_RUN = '    log.appendRun(run, (error) => {'
const APPENDER = 'log/local/appender.ts'
const SHARE = 'ingest/share.ts'
const WORKER = 'ingest/worker.ts'
const WRITE = '    const started = performance.now()\n'
const TABLE = 'ingest/duckdb/table.ts'
const LIVE = 'gateway/live/live.ts'
const LIVE_PUBLISH = '    this.#server?.publish(group.name, frame)'
const DEAD_LETTERS = 'log/tables/dead-letters.ts'

const STARTS = 'gateway/live/starts.ts'
const RETURN_CURSOR = '    return cursor\n'
const returnCursor = (offset: string) =>
  `    return { ...cursor, part: WHOLE, position: cursor.position.map((offset, shard) => ${offset}) }\n`

/** The first number of a reading's values is one more. */
const ALTERED =
  '(({ values, ...reading }) => ({ ...reading, values: Object.fromEntries(Object.entries(values).map(([name, value]) => ' +
  "[name, typeof value === 'number' ? value + 1 : value])) }))"

export const PLANTS: readonly Plant[] = [
  {
    name: 'a message is acknowledged and not appended',
    changes: [
      {
        file: ADMISSION,
        find: APPEND_RUN,
        replace: `    const append = (run, done) => (${each(40, 'planted')} ? setImmediate(done) : log.appendRun(run, done))
    append(run, (error) => {`,
      },
    ],
    found: { codes: ['lost'], stages: ['broker', 'log'] },
  },
  {
    name: 'acknowledged before it is on disk, and the platform is killed',
    changes: [
      {
        file: APPENDER,
        find: '    const { length } = commit\n',
        replace: `    const { length } = commit
    for (const onDurable of callbacks.splice(0)) onDurable()
    await new Promise((resolve) => setTimeout(resolve, 300))
`,
      },
    ],
    needs: { kills: 2 },
    found: {
      codes: ['lost'],
      stages: ['log', 'broker'],
      // Of two readings of one time the later is gone; and apps had come further than the log has.
      besides: ['out-of-order at ingest', 'live-lost at live'],
    },
  },
  {
    name: 'a message is in the log twice',
    changes: [
      {
        file: ADMISSION,
        find: APPEND_RUN,
        replace: `    if (${each(40, 'planted')}) log.appendRun(run, () => undefined)\n${APPEND_RUN}`,
      },
    ],
    found: {
      codes: ['duplicated', 'live-duplicated', 'unbalanced'],
      stages: ['log', 'broker', 'live', 'books'],
      // A bad message is set aside twice; of a run of messages the first comes again after the last.
      besides: ['duplicated at dead-letters', 'out-of-order at live', 'out-of-order at log'],
    },
  },
  {
    name: 'two messages of a device are in the log the wrong way round',
    changes: [
      {
        file: ADMISSION,
        find: APPEND_RUN,
        replace: `    const held = (globalThis.plantedHeld ??= new Map())
    const append = (run, done) => {
      const before = held.get(run.device)
      held.delete(run.device)
      if (before === undefined && ${each(40, 'planted')}) {
        held.set(run.device, [run, done])
        setTimeout(() => {
          if (held.get(run.device)?.[0] !== run) return
          held.delete(run.device)
          log.appendRun(run, done)
        }, 2_500)
        return
      }
      log.appendRun(run, done)
      if (before !== undefined) log.appendRun(...before)
    }
    append(run, (error) => {`,
      },
    ],
    found: { codes: ['out-of-order'], stages: ['log', 'broker', 'live'] },
  },
  {
    name: 'a value is altered where ingest decodes, and not where the gateway does',
    changes: [
      {
        file: SHARE,
        find: 'readings: decoded, receivedAt',
        replace: `readings: ${each(40, 'planted')} ? decoded.map(${ALTERED}) : decoded, receivedAt`,
      },
    ],
    found: { codes: ['altered'], stages: ['ingest', 'store'] },
  },
  {
    name: 'a value is altered on its way into the embedded store',
    changes: [
      {
        file: 'ingest/duckdb/append.ts',
        find: 'vector.setItem(index, column.value(row, from + index))',
        replace: `{
        const value = column.value(row, from + index)
        vector.setItem(index, typeof value === 'number' && ${each(300, 'planted')} ? value + 1 : value)
      }`,
      },
    ],
    found: { codes: ['altered'], stages: ['ingest', 'store'] },
  },
  {
    name: 'a value is altered in line protocol',
    changes: [
      {
        file: 'ingest/line-protocol.ts',
        find: 'at = writeNumber(bytes, from, value as number)',
        replace: `at = writeNumber(bytes, from, (value as number) + (${each(300, 'planted')} ? 1 : 0))`,
      },
    ],
    needs: { influx: true },
    found: { codes: ['altered'], stages: ['ingest', 'store'] },
  },
  {
    name: 'a restart begins one entry behind the checkpoint, and so do the next two groups',
    changes: [
      {
        file: SHARE,
        find: 'readings: decoded, receivedAt',
        replace:
          'readings: (globalThis.plantedFrom ??= firstOffset) > 0 && offset === firstOffset && (globalThis.planted = (globalThis.planted ?? 0) + 1) <= 3 ? [] : decoded, receivedAt',
      },
      // So that a kill finds a group that is not written.
      {
        file: WORKER,
        find: WRITE,
        replace: `    await new Promise((resolve) => setTimeout(resolve, 1_000))\n${WRITE}`,
      },
    ],
    needs: { kills: 3 },
    found: { codes: ['lost'], stages: ['ingest', 'store'] },
  },
  {
    name: 'a checkpoint is one entry too far, now and then',
    changes: [
      {
        file: SHARE,
        find: 'readings: decoded, receivedAt',
        replace: `readings: offset === firstOffset && ${each(5, 'planted')} ? [] : decoded, receivedAt`,
      },
    ],
    found: { codes: ['lost'], stages: ['ingest', 'store'] },
  },
  {
    name: 'an app that comes back is sent its last message again',
    changes: [
      {
        file: STARTS,
        find: RETURN_CURSOR,
        replace: returnCursor('Math.max(0, offset - 1)'),
      },
    ],
    needs: { kills: 3 },
    found: { codes: ['live-duplicated'], stages: ['live'], besides: ['out-of-order at live'] },
  },
  {
    name: 'an app that comes back misses the message behind its cursor',
    changes: [
      {
        file: STARTS,
        find: RETURN_CURSOR,
        replace: returnCursor('Math.min(offset + 1, tail.place.position[shard])'),
      },
    ],
    needs: { kills: 3 },
    found: { codes: ['live-lost'], stages: ['live'] },
  },
  {
    name: 'a dead letter is counted and not kept',
    changes: [
      {
        file: DEAD_LETTERS,
        find: '      this.#letters.put(last, writeLetter(letter, setAsideAt))',
        replace: `      if (!${each(3, 'planted')}) this.#letters.put(last, writeLetter(letter, setAsideAt))`,
      },
    ],
    found: { codes: ['not-set-aside', 'lost'], stages: ['dead-letters'] },
  },
  {
    name: 'a dead letter has another code',
    changes: [
      {
        file: SHARE,
        find: 'code: decoded.code, reason',
        replace: `code: ${each(3, 'planted')} ? 'wrong-stream' : decoded.code, reason`,
      },
    ],
    found: { codes: ['wrong-code'], stages: ['dead-letters', 'ingest'] },
  },
  {
    name: 'a good message is set aside',
    changes: [
      {
        file: SHARE,
        find: '    const decoded = (entry.flags & DAMAGED) === 0 ?',
        replace: `    const decoded = ${each(40, 'planted')} ? new Rejection('invalid-reading', 'it is planted') : (entry.flags & DAMAGED) === 0 ?`,
      },
    ],
    // A bad message is set aside as it is planted, too, and not as it was to be.
    found: { codes: ['set-aside'], stages: ['ingest', 'dead-letters'], besides: ['wrong-code at ingest'] },
  },
  {
    name: 'a live frame is lost',
    changes: [{ file: LIVE, find: LIVE_PUBLISH, replace: `    if (!${each(20, 'planted')}) ${LIVE_PUBLISH.trim()}` }],
    found: { codes: ['live-lost'], stages: ['live'] },
  },
  {
    name: 'a live frame is sent twice',
    changes: [
      {
        file: LIVE,
        find: LIVE_PUBLISH,
        replace: `${LIVE_PUBLISH}\n    if (${each(20, 'planted')}) ${LIVE_PUBLISH.trim()}`,
      },
    ],
    found: { codes: ['live-duplicated'], stages: ['live'], besides: ['out-of-order at live'] },
  },
  {
    name: 'a value is altered on its way to apps',
    changes: [
      {
        file: 'gateway/live/message.ts',
        find: 'encoded[index] = selected && encoding.reading(selected, this.received)',
        replace: `encoded[index] = selected && encoding.reading(${each(40, 'planted')} ? ${ALTERED}(selected) : selected, this.received)`,
      },
    ],
    found: { codes: ['live-altered'], stages: ['live'] },
  },
  {
    name: 'messages are read by a newer version of their schema',
    changes: [
      {
        file: 'schemas/registry.ts',
        find: '    return this.#find(low, high)?.codec\n',
        replace: `    const codec = this.#find(low, high)?.codec
    const records = this.#byName.get(codec?.definition.stream)?.records ?? []
    return records[0] === codec && records.length > 1 && ${each(10, 'planted')} ? records.at(-1) : codec
`,
      },
    ],
    // The gateway reads by the same registry.
    found: {
      codes: ['set-aside', 'altered', 'lost'],
      stages: ['ingest', 'dead-letters'],
      besides: ['live-lost at live', 'live-altered at live'],
    },
  },
  {
    name: 'the store is written to 10 s late',
    changes: [
      {
        file: WORKER,
        find: WRITE,
        replace: `    await new Promise((resolve) => setTimeout(resolve, 10_000))\n${WRITE}`,
      },
    ],
    found: { codes: ['late'], stages: ['ingest', 'store'] },
  },
  {
    name: 'history leaves out the last row of a page',
    changes: [
      {
        file: 'ingest/history-page.ts',
        find: '  if (piece.length > 0) yield piece\n',
        replace: '  if (piece.length > 0) yield piece.length > 1 ? piece.slice(0, -1) : piece\n',
      },
    ],
    found: { codes: ['lost'], stages: ['history'] },
  },
  {
    name: 'a topic of another device is taken',
    changes: [
      {
        file: ADMISSION,
        find: "  return holder.kind === 'device' && isSending && topic.device === holder.device",
        replace: "  return holder.kind === 'device' && isSending",
      },
    ],
    found: { codes: ['accepted-though-forbidden', 'invented'], stages: ['broker'] },
  },
  {
    name: 'the books of a device miss some of its messages',
    changes: [
      {
        file: 'log/tables/device-records.ts',
        find: 'const [stored, deadLettered, readings] = [record.readDoubleLE(0), ',
        replace: 'const [stored, deadLettered, readings] = [Math.floor(record.readDoubleLE(0) * 0.9), ',
      },
    ],
    found: { codes: ['unbalanced'], stages: ['books'] },
  },
  {
    name: 'the books count a message twice',
    changes: [
      {
        file: 'log/tables/ledgers.ts',
        find: '      stored: kept.stored + progress.stored,',
        replace: `      stored: kept.stored + progress.stored + (${each(5, 'planted')} ? 1 : 0),`,
      },
    ],
    found: { codes: ['unbalanced'], stages: ['books'] },
  },
  {
    name: "a row has another device's id",
    changes: [
      {
        file: TABLE,
        find: 'value: ({ reading }) => reading.device }',
        replace: `value: ({ reading }) => (${each(40, 'planted')} ? 'planted' : reading.device) }`,
      },
    ],
    found: { codes: ['lost'], stages: ['ingest', 'store'] },
  },
  {
    name: 'times are rounded to seconds in the store',
    changes: [
      {
        file: TABLE,
        find: 'const row: Row = { reading, series, micros: Math.round(reading.ts * 1000),',
        replace: 'const row: Row = { reading, series, micros: Math.round(reading.ts / 1000) * 1_000_000,',
      },
    ],
    found: { codes: ['lost', 'invented', 'altered'], stages: ['ingest', 'store'] },
  },
  {
    name: 'a message is stored only in part of a batch',
    changes: [
      {
        file: SHARE,
        find: 'readings: decoded, receivedAt',
        replace: `readings: decoded.length > 1 && ${each(10, 'planted')} ? decoded.slice(1) : decoded, receivedAt`,
      },
    ],
    found: { codes: ['lost'], stages: ['ingest', 'store'] },
  },
]

/**
 * Owns what is known of the edge nodes of Sparkplug while their connections last: what their births said of their metrics, and the
 * number of their last message.
 *
 *   unknown --NBIRTH--> born --NBIRTH--> born ...      its devices: unknown --DBIRTH--> born --DDEATH--> unknown
 *     ^                  |
 *     '--NDEATH, its connection ends, forgotten--'
 *
 * Always true: what a birth said holds for the connection that brought it, since each begins with births (3.0, section 5.4); so a crash,
 * which ends all connections, leaves nothing behind by which a message could be read otherwise than before it.
 * Bounds: `EDGE_NODES_MAX`, `DEVICES_PER_NODE_MAX`, `KNOWN_BYTES_MAX` by estimate. Full: the edge node that was born longest ago is
 * forgotten, or the device; at its next message it is asked to be born again.
 */

import assert from 'node:assert/strict'
import type { KnownMetric, KnownMetrics } from '../../maps/sparkplug/context.ts'
import type { SparkplugPayload } from '../../maps/sparkplug/payload.ts'
import type { Session } from '../session/session.ts'

export const EDGE_NODES_MAX = 10_000
export const DEVICES_PER_NODE_MAX = 1_000
const KNOWN_BYTES_MAX = 128 * 1024 * 1024
/** Of a metric, beside its name and unit; and of an edge node or a device. */
const METRIC_BYTES = 200
const PUBLISHER_BYTES = 400
const SEQUENCE = 256

/** What births said of metrics. */
class MetricTable implements KnownMetrics {
  readonly bytes: number
  readonly #byName = new Map<string, KnownMetric>()
  readonly #byAlias = new Map<number, KnownMetric>()

  constructor({ metrics }: SparkplugPayload) {
    let bytes = 0
    for (const { name, alias, datatype, unit } of metrics) {
      if (name === undefined || datatype === undefined) continue
      const known = { name, datatype, ...(unit !== undefined && { unit }) }
      this.#byName.set(name, known)
      if (alias !== undefined) this.#byAlias.set(alias, known)
      bytes += METRIC_BYTES + 2 * (name.length + (unit?.length ?? 0))
    }
    this.bytes = bytes
  }

  byName(name: string): KnownMetric | undefined {
    return this.#byName.get(name)
  }

  byAlias(alias: number): KnownMetric | undefined {
    return this.#byAlias.get(alias)
  }
}

/** Of an edge node that nobody knows, or a device. */
export const NOTHING_KNOWN: KnownMetrics = { byName: () => undefined, byAlias: () => undefined }

/** An edge node, or a device of one. */
export interface Publisher {
  readonly id: string
  /** Undefined until it is born. */
  metrics: MetricTable | undefined
  /** The latest time of which it spoke, milliseconds. */
  latestMs: number
}

export class EdgeNode implements Publisher {
  readonly id: string
  metrics: MetricTable | undefined
  latestMs: number
  /** That brought its birth. */
  session: Session | undefined
  bdSeq: number | undefined
  /** Something of it is missing, and it has not been born since. */
  isIncomplete = false
  readonly devices = new Map<string, Publisher>()
  #seq: number | undefined

  constructor(id: string, latestMs: number) {
    this.id = id
    this.latestMs = latestMs
  }

  get bytes(): number {
    let bytes = PUBLISHER_BYTES + (this.metrics?.bytes ?? 0)
    for (const { metrics } of this.devices.values()) bytes += PUBLISHER_BYTES + (metrics?.bytes ?? 0)
    return bytes
  }

  begin(seq: number | undefined): void {
    this.#seq = seq
    this.isIncomplete = false
  }

  /** How many messages are missing before the one of this number; 0 as a rule, and of one without. */
  missingBefore(seq: number | undefined): number {
    const before = this.#seq
    if (seq === undefined) return 0
    this.#seq = seq % SEQUENCE
    return before === undefined ? 0 : (seq - before - 1 + 2 * SEQUENCE) % SEQUENCE
  }
}

export class EdgeNodes {
  /** Those born longest ago first. */
  readonly #nodes = new Map<string, EdgeNode>()
  readonly #ofSession = new WeakMap<Session, Set<EdgeNode>>()
  #bytes = 0
  /** Nobody that is not known has spoken of a later time, as far as is known. */
  #latestMs: number

  /** `startedAt`: what was stored before is of earlier times, milliseconds. */
  constructor(startedAt: number) {
    this.#latestMs = startedAt
  }

  get count(): number {
    return this.#nodes.size
  }

  /** Undefined if it was not born on this connection. */
  born(session: Session, id: string): EdgeNode | undefined {
    const node = this.#nodes.get(id)
    return node?.session === session ? node : undefined
  }

  /** An edge node is born, or again. */
  bear(session: Session, id: string, payload: SparkplugPayload, bdSeq: number | undefined): EdgeNode {
    const known = this.#nodes.get(id)
    if (known !== undefined) this.#remove(known)
    const node = known ?? new EdgeNode(id, this.#latestMs)
    if (node.session !== undefined) this.#ofSession.get(node.session)?.delete(node)
    // What its devices said of their metrics is over, too.
    for (const device of node.devices.values()) device.metrics = undefined
    node.session = session
    node.bdSeq = bdSeq
    node.metrics = new MetricTable(payload)
    node.begin(payload.seq)
    const ofSession = this.#ofSession.get(session) ?? new Set()
    this.#ofSession.set(session, ofSession.add(node))
    this.#add(node)
    return node
  }

  /** A device of `node` is born, or again. */
  bearDevice(node: EdgeNode, name: string, id: string, payload: SparkplugPayload): Publisher {
    this.#remove(node)
    const device = node.devices.get(name) ?? { id, metrics: undefined, latestMs: this.#latestMs }
    node.devices.delete(name)
    const [oldest] = node.devices
    if (oldest !== undefined && node.devices.size >= DEVICES_PER_NODE_MAX) {
      node.devices.delete(oldest[0])
      this.#latestMs = Math.max(this.#latestMs, oldest[1].latestMs)
    }
    device.metrics = new MetricTable(payload)
    node.devices.set(name, device)
    this.#add(node)
    return device
  }

  dieDevice(node: EdgeNode, name: string): void {
    const device = node.devices.get(name)
    if (device === undefined) return
    this.#remove(node)
    device.metrics = undefined
    this.#add(node)
  }

  /** What it said holds no more. Who of it was there: its devices, and itself. */
  die(node: EdgeNode): string[] {
    this.#remove(node)
    const there = [node, ...node.devices.values()].filter(({ metrics }) => metrics !== undefined).map(({ id }) => id)
    if (node.session !== undefined) this.#ofSession.get(node.session)?.delete(node)
    node.session = undefined
    for (const each of [node, ...node.devices.values()]) each.metrics = undefined
    this.#add(node)
    return there
  }

  /** A connection has ended. Who was there by it. */
  ended(session: Session): string[] {
    return [...(this.#ofSession.get(session) ?? [])].flatMap((node) => this.die(node))
  }

  #add(node: EdgeNode): void {
    this.#nodes.set(node.id, node)
    this.#bytes += node.bytes
    for (const oldest of this.#nodes.values()) {
      const isFull = this.#nodes.size > EDGE_NODES_MAX || this.#bytes > KNOWN_BYTES_MAX
      if (!isFull || oldest === node) return
      this.#remove(oldest)
      if (oldest.session !== undefined) this.#ofSession.get(oldest.session)?.delete(oldest)
      oldest.session = undefined
      for (const { latestMs } of [oldest, ...oldest.devices.values()])
        this.#latestMs = Math.max(this.#latestMs, latestMs)
    }
  }

  #remove(node: EdgeNode): void {
    if (!this.#nodes.delete(node.id)) return
    this.#bytes -= node.bytes
    assert(this.#bytes >= 0, 'what is taken away was there')
  }
}

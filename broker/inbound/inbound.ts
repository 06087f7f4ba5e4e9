/**
 * Owns the reading from one client's socket: when, and how much at once. It takes the place of Aedes's own reading, which reads
 * on while the client's messages wait, and lets one client keep the thread from all others.
 *
 * Each time that something it waits for happens, it looks what keeps it from reading, and waits for the first that does:
 *
 *   reading --the connection has ended----------------> nothing (for ever)
 *           --the CONNECT has no CONNACK yet----------> connack --connected--------------+
 *           --its epoch is not known yet--------------> epoch   --connected---------------+
 *           --a packet waits for a SUBSCRIBE----------> order   --readOn-----------------+
 *           --too much was sent that it has not read--> drain   --drain, or more bytes---+--> reading
 *           --the receive window is full--------------> room    --a message is released--+
 *           --read, and its quota is used up----------> rest    --time, and its turn-----+
 *           --read, and there is more-----------------> turn    --its turn---------------+
 *           --read-------------------------------------> bytes   --bytes come-------------+
 *
 * Bounds: at once, no more is read than takes about `TURN_MS`; what is left waits in the socket for its turn (`FairShare`), longer
 * if the client has used up its `CpuQuota`. Nothing is read from a client whose messages fill the `ReceiveWindow`, which the
 * rest of a turn may exceed, nor from one that has left more than `UNREAD_ANSWERS_BYTES_MAX` unread.
 * Losing: nothing; what the client sends waits in its socket, and TCP tells it.
 */

import assert from 'node:assert/strict'
import type { Duplex } from 'node:stream'
import type { Aedes, Client } from 'aedes'
import type { ReceiveWindow } from '../../intake/receive-window.ts'
import { ALLOWANCE_BYTES_PER_MS, ALLOWANCE_FIRST_MS, ALLOWANCE_MS, ALLOWANCE_PACKET_MS } from '../../platform/limits.ts'
import { takeKeepalive } from '../aedes/internals.ts'
import type { BrokerMetrics } from '../reports/metrics.ts'
import type { FairShare } from './fair-share.ts'
import { Keepalive } from './keepalive.ts'
import { Packets, type PacketsDependencies } from './packets.ts'

/** How long reading from one client may take before others have their turn, about; its bytes per turn follow from it. */
const TURN_MS = 0.25
/** Bytes per turn of a client that has just connected, at least and at most. */
const TURN_BYTES_FIRST = 2 * 1024
const TURN_BYTES_MIN = 128
export const TURN_BYTES_MAX = 16 * 1024
/** Bytes that one client has not read yet, at which nothing is read from it: it must not grow a heap of acknowledgements. */
export const UNREAD_ANSWERS_BYTES_MAX = 256 * 1024
/** The part of the broker's time that one client may take while others are connected. */
export const ALLOWANCE_SHARE = 1 / 8

/** What it waits for before it reads. */
type Mode = 'reading' | 'nothing' | 'connack' | 'epoch' | 'order' | 'drain' | 'room' | 'rest' | 'turn' | 'bytes'

export interface InboundDependencies extends PacketsDependencies {
  readonly receiveWindow: ReceiveWindow
  readonly fairShare: FairShare
  readonly metrics: BrokerMetrics
  /** Knows how many clients there are. */
  readonly broker: Pick<Aedes, 'connectedClients'>
}

export class Inbound {
  readonly receiveWindow: ReceiveWindow
  readonly packets: Packets
  readonly client: Client
  readonly #conn: Duplex
  readonly #fairShare: FairShare
  readonly #metrics: BrokerMetrics
  readonly #broker: Pick<Aedes, 'connectedClients'>
  readonly #quota = new CpuQuota(performance.now())
  #mode: Mode = 'bytes'
  /** Which connection of its device it is has to be known before its first message is appended. */
  isHeld = false
  /** Undefined before the CONNACK, and for a client that has none. */
  #keepalive: Keepalive | undefined
  /** Made for one that had too much unread. */
  #drained: (() => void) | undefined
  /** So many take about `TURN_MS`. */
  #turnBytes = TURN_BYTES_FIRST

  /** Takes the place of Aedes's reading, right after Aedes has made the client. */
  constructor(client: Client, dependencies: InboundDependencies) {
    const { receiveWindow, fairShare, metrics, broker } = dependencies
    this.client = client
    this.#conn = client.conn as Duplex
    this.receiveWindow = receiveWindow
    this.#fairShare = fairShare
    this.#metrics = metrics
    this.#broker = broker
    this.packets = new Packets(client, this, dependencies)
    receiveWindow.reader = this
    this.#conn.on('readable', onReadable)
  }

  /** There is a CONNACK. */
  connected(): void {
    const ms = takeKeepalive(this.client)
    this.#keepalive = ms > 0 ? new Keepalive(ms, performance.now()) : undefined
    this.packets.connected()
    this.read()
  }

  /** Bytes have come that cannot be read yet. */
  heard(): void {
    this.#keepalive?.heard(performance.now())
  }

  /** Whether its keep alive is over; not of one that is not read from. */
  isSilent(now: number): boolean {
    if (this.#mode !== 'bytes') this.#keepalive?.heard(now)
    return this.#keepalive?.isOver(now) === true
  }

  /** The connection is closed. */
  closed(): void {
    readBuffered(this.#conn)
    this.packets.forget()
  }

  get waitsFor(): Mode {
    return this.#mode
  }

  /** Looks whether there is something to read, and may be read; whoever waits for a turn looks when it comes. */
  read(): void {
    if (this.#mode !== 'reading' && this.#mode !== 'turn' && this.#mode !== 'rest') this.takeTurn()
  }

  /** Takes what has just come, if it is read in one turn and nothing keeps it from being read; whether it was taken. */
  takes(chunk: Buffer): boolean {
    if (this.#mode !== 'bytes' || chunk.length > this.#turnBytes || this.#conn.readableLength > 0) return false
    if (this.#obstacle() !== undefined) return false
    this.#enter('reading')
    this.#take(chunk, false)
    return true
  }

  takeTurn(): undefined {
    this.#enter('reading')
    const obstacle = this.#obstacle()
    if (obstacle !== undefined) this.#enter(obstacle)
    else this.#readTurn()
  }

  #obstacle(): Mode | undefined {
    if (this.client.closed) return 'nothing'
    if (this.client.connecting) return 'connack'
    if (this.isHeld) return 'epoch'
    if (this.packets.isHolding) return 'order'
    if (this.#conn.writableLength > UNREAD_ANSWERS_BYTES_MAX) return 'drain'
    return this.receiveWindow.isFull ? 'room' : undefined
  }

  #readTurn(): void {
    const conn = this.#conn
    const isMore = conn.readableLength > this.#turnBytes
    const chunk: Buffer | null = isMore ? conn.read(this.#turnBytes) : readBuffered(conn)
    if (chunk === null) {
      this.#enter('bytes')
      return
    }
    this.#take(chunk, isMore)
  }

  #take(chunk: Buffer, isMore: boolean): void {
    const { requests, requestBytes } = this.packets
    const began = performance.now()
    this.#keepalive?.heard(began)
    this.packets.parse(chunk)
    const now = performance.now()
    const tookMs = now - began
    this.#adapt(tookMs, isMore)
    let restMs = 0
    if (this.#broker.connectedClients > 1) {
      const packets = this.packets.requests - requests
      const bytes = this.packets.requestBytes - requestBytes
      restMs = this.#quota.charge(now, { tookMs, packets, bytes })
    }
    if (restMs === 0) this.#enter(isMore ? 'turn' : 'bytes')
    else this.#rest(restMs)
  }

  #rest(ms: number): void {
    this.#metrics.restedMs += ms
    this.#enter('rest')
    this.#fairShare.rest(this, ms)
  }

  /** Every look begins with `reading` and ends with what is waited for. */
  #enter(mode: Mode): void {
    assert((mode === 'reading') !== (this.#mode === 'reading'), `${this.#mode} is not followed by ${mode}`)
    this.#mode = mode
    if (mode === 'turn') this.#fairShare.wait(this)
    else if (mode === 'room') this.receiveWindow.waitForRoom()
    else if (mode === 'drain') {
      // Each byte that comes meanwhile looks again.
      this.#drained ??= () => this.read()
      this.#conn.removeListener('drain', this.#drained)
      this.#conn.once('drain', this.#drained)
    }
  }

  /** A PINGREQ takes two bytes, and half as long as a message of a hundred. */
  #adapt(tookMs: number, wasWhole: boolean): void {
    if (tookMs > TURN_MS) this.#turnBytes = Math.max(TURN_BYTES_MIN, this.#turnBytes / 2)
    else if (wasWhole && tookMs < TURN_MS / 4) this.#turnBytes = Math.min(TURN_BYTES_MAX, this.#turnBytes * 2)
  }
}

/** Aedes notes its client at the stream, and `Connection` itself at the client. */
type OfClient = Duplex & { readonly client?: Client & { readonly connection?: { readonly inbound: Inbound } } }

function onReadable(this: OfClient): void {
  this.client?.connection?.inbound.read()
}

/** Takes what a socket has read into a buffer that is not its own; whether it is to read more. */
export function takeRead(this: OfClient, length: number, shared: Uint8Array): boolean {
  // From Node's pool, as far as it is small.
  const chunk = Buffer.from(shared.subarray(0, length))
  return this.client?.connection?.inbound.takes(chunk) === true || this.push(chunk)
}

/**
 * All that is buffered, or null. `read()` without a size gives that up to Node 25; since Node 26 it gives one piece of it, and
 * tells nobody of the rest (`howMuchToRead`; tried on 26.12). Read without a size, a stream ends with its last bytes.
 */
export function readBuffered(stream: Duplex): Buffer | null {
  const first: Buffer | null = stream.read()
  if (first === null || stream.readableLength === 0) return first
  const pieces = [first]
  while (stream.readableLength > 0) {
    const piece: Buffer | null = stream.read()
    if (piece === null) break
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}

export interface Work {
  readonly tookMs: number
  readonly packets: number
  readonly bytes: number
}

/**
 * How much of the broker's time one client may take while others are connected: a share of it. With turns alone, each step of a
 * message from socket to disk and back waited for a turn of whoever sends without end. One that rests after its share leaves
 * the thread idle for the others, nearly as if it were not there. What a packet costs behind the broker counts, too.
 *
 * Bounds: a new connection has `ALLOWANCE_FIRST_MS`, and may save up to `ALLOWANCE_MS`, enough for the largest payload; no turn
 * counts as longer than the former, so that nobody rests for a collection of garbage.
 */
export class CpuQuota {
  #ms = ALLOWANCE_FIRST_MS
  #at: number

  constructor(now: number) {
    this.#at = now
  }

  /** Charges for work that ended at `now`, milliseconds of a clock that does not jump. Returns how long to rest. */
  charge(now: number, { tookMs, packets, bytes }: Work): number {
    const behindMs = packets * ALLOWANCE_PACKET_MS + bytes / ALLOWANCE_BYTES_PER_MS
    const saved = Math.min(ALLOWANCE_MS, this.#ms + (now - this.#at) * ALLOWANCE_SHARE)
    this.#ms = saved - Math.min(ALLOWANCE_FIRST_MS, tookMs) - behindMs
    this.#at = now
    return Math.max(0, -this.#ms / ALLOWANCE_SHARE)
  }
}

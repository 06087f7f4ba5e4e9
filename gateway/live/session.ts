/**
 * Owns one app's WebSocket: its subscriptions and how it ends.
 *
 *   open --a frame was dropped--> slow --drained, or LIVE_SLOW_CLOSE_MS--> closed (4408)
 *   open --end(reason)--------------------------------------------------> closed
 *
 * Always true: a frame lost is never followed by a later one: a socket that is slow has left all its topics, and is
 * told 4408 as soon as it has room. A server may drop close frames too while a socket is full (uWebSockets.js does), so that must wait.
 * An app is pinged every `LIVE_PING_MS`, and cut when it is silent for `LIVE_PINGS_UNANSWERED_MAX` of them.
 * Bound: `LIVE_SUBSCRIPTIONS_PER_SOCKET_MAX`, `LIVE_ERRORS_PER_SOCKET_MAX`.
 */

import { LIVE_PAST_PAUSE_BYTES, LIVE_SUBSCRIPTIONS_PER_SOCKET_MAX } from '../../platform/limits.ts'
import type { Access } from '../access.ts'
import type { Socket, SocketListener } from '../server/server.ts'
import { CLOSE, type CloseReason } from './close-codes.ts'
import type { CommandRefusal } from './commands.ts'
import { errorFrame, liveFrame, subscribedFrame, WELCOME } from './frames.ts'
import type { Group } from './groups.ts'
import type { Past } from './past.ts'

/** Error frames sent to one socket; at one more it is closed with 4503. */
const LIVE_ERRORS_PER_SOCKET_MAX = 100
/** Frames of the past sent before other work gets its turn. */
const LIVE_PAST_FRAMES_PER_TURN = 4
/** How often an app is pinged: proxies end what is quiet for a minute (nginx's `proxy_read_timeout`). */
export const LIVE_PING_MS = 25_000
/** Pings in a row without a word from an app, pongs included, after which its connection is cut. */
export const LIVE_PINGS_UNANSWERED_MAX = 4
/** How long a socket that lost a frame may take to drain and be told so (4408), before it is cut. */
export const LIVE_SLOW_CLOSE_MS = 10_000

/** What a session needs of `/v1/live`. */
export interface SessionOwner {
  /** The live tail's cursor at the time of the call. */
  readonly cursor: () => string
  readonly now: () => number
  readonly whyOver: (access: Access) => 'expired' | 'revoked' | undefined
  readonly opened: (session: LiveSession) => void
  readonly closed: (session: LiveSession) => void
  /** The app has sent a frame. */
  readonly message: (session: LiveSession, data: Buffer, isBinary: boolean) => void
  /** A frame for the app was dropped. */
  readonly dropped: () => void
  /** The socket has left `group`. */
  readonly left: (group: Group) => void
  /** The socket is being closed by us. */
  readonly closing: (reason: CloseReason) => void
}

export class LiveSession implements SocketListener {
  readonly access: Access
  /** From where it came: by this and by `access` its share is counted. */
  readonly address: string
  readonly #owner: SessionOwner
  readonly #groups = new Map<string, Group>()
  /** Those still being sent, by the subscription's name. */
  readonly #pasts = new Map<string, Past>()
  #socket: Socket | undefined
  #slowSince: number | undefined
  #errors = 0
  #pumping = false
  #pingedAt: number
  #unanswered = 0

  constructor(access: Access, address: string, owner: SessionOwner) {
    this.access = access
    this.address = address
    this.#owner = owner
    this.#pingedAt = owner.now()
  }

  opened(socket: Socket): void {
    this.#socket = socket
    this.#send(WELCOME)
    this.#owner.opened(this)
  }

  message(data: Buffer, isBinary: boolean): void {
    this.#unanswered = 0
    this.#owner.message(this, data, isBinary)
  }

  alive(): void {
    this.#unanswered = 0
  }

  /** After this nothing is sent. */
  closed(): void {
    this.#socket = undefined
    this.#leaveAll()
    this.#owner.closed(this)
  }

  get full(): boolean {
    return this.#groups.size >= LIVE_SUBSCRIPTIONS_PER_SOCKET_MAX
  }

  has(subscription: string): boolean {
    return this.#groups.has(subscription)
  }

  /**
   * Answers `subscribed`, the past if one is wanted, `live`, and from then on what is published to the group. To
   * subscribe again to the same is answered the same; it stays one subscription. Returns whether it is new.
   */
  subscribe(id: string, group: Group, past: Past | undefined): boolean {
    const isNew = !this.#groups.has(group.name)
    this.#groups.set(group.name, group)
    this.#send(subscribedFrame(id, group.name))
    this.#pasts.delete(group.name)
    if (past === undefined) {
      this.#goLive(group)
    } else {
      if (!isNew) this.#socket?.leave(group.name)
      this.#pasts.set(group.name, past)
      this.pump()
    }
    return isNew
  }

  unsubscribe(subscription: string): void {
    const group = this.#groups.get(subscription)
    if (group === undefined) return
    this.#groups.delete(subscription)
    this.#pasts.delete(subscription)
    this.#socket?.leave(group.name)
    this.#owner.left(group)
  }

  refuse(refusal: CommandRefusal): void {
    if (++this.#errors > LIVE_ERRORS_PER_SOCKET_MAX) this.end(CLOSE.tooManyErrors)
    else this.#send(errorFrame(refusal.id, refusal.error))
  }

  /** Sends what there is room for of the past, a few frames a turn. */
  pump(): void {
    if (this.#pumping) return
    for (let frames = 0; frames < LIVE_PAST_FRAMES_PER_TURN; frames++) {
      const past: Past | undefined = this.#pasts.values().next().value
      const socket = this.#socket
      if (past === undefined || socket === undefined || this.#slowSince !== undefined) return
      if (socket.bufferedBytes > LIVE_PAST_PAUSE_BYTES) return // Until it drains.
      const step = past.next(this.#owner.cursor())
      if (step === 'late') {
        this.end(CLOSE.slow)
      } else if (step === 'done') {
        this.#pasts.delete(past.group.name)
        this.#goLive(past.group)
      } else {
        this.#send(step.frame)
      }
    }
    this.#pumping = true
    setImmediate(() => {
      this.#pumping = false
      this.pump()
    })
  }

  /** It gets nothing more but its close code. */
  dropped(): void {
    this.#owner.dropped()
    if (this.#slowSince !== undefined) return
    this.#slowSince = this.#owner.now()
    // Not at once: the server is going through the topics that this changes.
    setImmediate(() => this.#leaveAll())
  }

  drained(): void {
    if (this.#slowSince !== undefined) this.end(CLOSE.slow)
    else this.pump()
  }

  /** What time alone brings about. */
  sweep(now: number): void {
    if (this.#slowSince !== undefined) {
      if (now - this.#slowSince > LIVE_SLOW_CLOSE_MS) this.cut(CLOSE.slow)
      return
    }
    const over = this.#owner.whyOver(this.access)
    if (over !== undefined) {
      this.end(over === 'expired' ? CLOSE.tokenExpired : CLOSE.tokenRevoked)
    } else if (Math.abs(now - this.#pingedAt) >= LIVE_PING_MS) {
      this.#pingedAt = now
      if (this.#unanswered++ >= LIVE_PINGS_UNANSWERED_MAX) this.cut(CLOSE.silent)
      else this.#socket?.ping()
    }
  }

  /** Closes the socket and says why. */
  end(reason: CloseReason): void {
    const socket = this.#socket
    if (socket === undefined) return
    this.#owner.closing(reason)
    this.#socket = undefined
    socket.end(reason.code, reason.text)
  }

  /** Closes without a word: there is no room for one. */
  cut(reason: CloseReason): void {
    const socket = this.#socket
    if (socket === undefined) return
    this.#owner.closing(reason)
    this.#socket = undefined
    socket.cut()
  }

  #goLive(group: Group): void {
    this.#send(liveFrame(group.name))
    if (this.#slowSince === undefined) this.#socket?.join(group.name)
  }

  #leaveAll(): void {
    for (const name of [...this.#groups.keys()]) this.unsubscribe(name)
  }

  /** A frame that does not fit makes the socket slow, by `dropped`. */
  #send(frame: string): void {
    if (this.#slowSince === undefined) this.#socket?.send(frame)
  }
}

/**
 * Owns one app's connection: its subscriptions and how it ends. Of each subscription:
 *
 *   past --done--> live --too much waits for the app--> behind --it takes again--> past
 *
 * and of the connection:
 *
 *   open --a frame was dropped--> lossy --drained, or LIVE_SLOW_CLOSE_MS--> closed (4408)
 *   open --end(reason)---------------------------------------------------> closed
 *
 * Always true: who is behind has left its topics before anything was lost, and goes on from that place. A frame lost all the same is
 * never followed by a later one, and the app is told 4408 as soon as it has room: a server may drop close frames too while a socket
 * is full (uWebSockets.js does). An app is pinged every `LIVE_PING_MS`, or `LIVE_STREAM_PING_MS`, and cut when it is silent for
 * `LIVE_PINGS_UNANSWERED_MAX` of them; one that takes nothing for `LIVE_SLOW_CLOSE_MS` while it is behind, or is sent the past, is
 * closed with 4408.
 * Bound: `LIVE_SUBSCRIPTIONS_PER_SOCKET_MAX`, `LIVE_ERRORS_PER_SOCKET_MAX`, `LIVE_COMMANDS_PER_SECOND_MAX`; what waits for it.
 */

import { LIVE_BEHIND_BYTES, LIVE_PAST_PAUSE_BYTES, LIVE_SUBSCRIPTIONS_PER_SOCKET_MAX } from '../../platform/limits.ts'
import { TokenBucket } from '../../platform/token-bucket.ts'
import type { Access } from '../access.ts'
import type { Frame, Socket, SocketListener } from '../server/server.ts'
import { CLOSE, type CloseReason } from './close-codes.ts'
import { type CommandRefusal, LIVE_COMMANDS_AT_ONCE_MAX, LIVE_COMMANDS_PER_SECOND_MAX } from './commands.ts'
import {
  closingFrame,
  errorFrame,
  liveFrame,
  type Subprotocol,
  subscribedFrame,
  unsubscribedFrame,
  welcomeFrame,
} from './frames.ts'
import type { Group } from './groups.ts'
import type { Past } from './past.ts'

/** Error frames sent to one socket; at one more it is closed with 4503. */
export const LIVE_ERRORS_PER_SOCKET_MAX = 100
/** How often an app is pinged: proxies end what is quiet for a minute (nginx's `proxy_read_timeout`). */
export const LIVE_PING_MS = 25_000
/** The same of an app that has events: nothing but this tells a browser's proxies that there is still somebody. */
export const LIVE_STREAM_PING_MS = 15_000
/** Pings in a row without a word from an app, pongs included, after which its connection is cut. */
export const LIVE_PINGS_UNANSWERED_MAX = 4
/** How long an app that is behind may take nothing; and how long one that lost a frame may take to drain and be told so. */
export const LIVE_SLOW_CLOSE_MS = 10_000

/** What a session needs of `/v1/live`. */
export interface SessionOwner {
  readonly now: () => number
  readonly whyOver: (access: Access) => 'expired' | 'revoked' | undefined
  /** The text of the place after all that was sent to the group. */
  readonly cursorOf: (group: Group) => string
  /** What a live member of the group has to be sent from this instant on, once it takes frames again. */
  readonly behind: (group: Group, access: Access) => () => Past
  /** It has something of the past to send. */
  readonly hasPast: (session: LiveSession) => void
  readonly opened: (session: LiveSession) => void
  readonly closed: (session: LiveSession) => void
  /** The app has sent a frame. */
  readonly message: (session: LiveSession, data: Buffer, isBinary: boolean) => void
  /** Why a past could not be had, for the app; undefined if that was our own mistake, of which the connection is ended. */
  readonly refusalOf: (session: LiveSession, id: string, error: unknown) => CommandRefusal | undefined
  /** A frame for the app was dropped. */
  readonly dropped: () => void
  /** The socket has left `group`. */
  readonly left: (group: Group) => void
  /** The socket is being closed by us. */
  readonly closing: (reason: CloseReason) => void
}

interface Subscription {
  /** Of the command that asked for it. */
  id: string
  readonly group: Group
  /** What is sent before it is live. */
  past: Past | undefined
  /** It is behind: makes its past when there is room for it. */
  behind: (() => Past) | undefined
  /** It has what is published to its group. */
  isLive: boolean
}

export class LiveSession implements SocketListener {
  readonly access: Access
  /** From where it came: by this and by `access` its share is counted. */
  readonly address: string
  readonly protocol: Subprotocol
  readonly #owner: SessionOwner
  readonly #pingMs: number
  readonly #subscriptions = new Map<string, Subscription>()
  /** Those that are not live, and wait for nothing but room. */
  readonly #due = new Set<Subscription>()
  readonly #commands = new TokenBucket({
    capacity: LIVE_COMMANDS_AT_ONCE_MAX,
    perSecond: LIVE_COMMANDS_PER_SECOND_MAX,
  })
  #socket: Socket | undefined
  #lossySince: number | undefined
  #isBehind = false
  /** What waits for it, as of the last look, and since when it took nothing of it. */
  #waiting = { bytes: 0, since: 0 }
  #errors = 0
  #pingedAt: number
  #unanswered = 0

  constructor(access: Access, address: string, protocol: Subprotocol, owner: SessionOwner, pingMs = LIVE_PING_MS) {
    this.access = access
    this.address = address
    this.protocol = protocol
    this.#owner = owner
    this.#pingMs = pingMs
    this.#pingedAt = owner.now()
  }

  opened(socket: Socket): void {
    this.#socket = socket
    socket.send(welcomeFrame(this.protocol))
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

  get isOpen(): boolean {
    return this.#socket !== undefined
  }

  /** What waits in this process for the app to take it. */
  get waitingBytes(): number {
    return this.#socket?.bufferedBytes ?? 0
  }

  get full(): boolean {
    return this.#subscriptions.size >= LIVE_SUBSCRIPTIONS_PER_SOCKET_MAX
  }

  /** Whether one more command may be carried out now; it has been counted. */
  mayCommand(): boolean {
    const now = this.#owner.now()
    if (this.#commands.tokens(now) < 1) return false
    this.#commands.take(now)
    return true
  }

  groupOf(subscription: string): Group | undefined {
    return this.#subscriptions.get(subscription)?.group
  }

  /**
   * Answers `subscribed`, the past if one is wanted, `live`, and from then on what is published to the group. To
   * subscribe again to the same is answered the same; it stays one subscription. Returns whether it is new.
   */
  subscribe(id: string, group: Group, past: Past | undefined, replaces?: string): boolean {
    const known = this.#subscriptions.get(group.name)
    const subscription = known ?? { id, group, past: undefined, behind: undefined, isLive: false }
    subscription.id = id
    this.#subscriptions.set(group.name, subscription)
    this.#send(subscribedFrame(id, group.name, group.wanted.rate, replaces))
    subscription.past?.drop()
    subscription.behind = undefined
    if (past === undefined) {
      this.#goLive(subscription)
    } else {
      if (known !== undefined) this.#leaveTopic(subscription)
      this.#setPast(subscription, past)
    }
    return known === undefined
  }

  /** Goes on with a subscription as a member of `group`, neither with a gap nor with a repeat; as `subscribe` says. */
  update(id: string, subscription: string, group: Group): boolean {
    const known = this.#subscriptions.get(subscription)
    if (known === undefined || known.group === group) return this.#answerSame(id, group)
    if (this.#subscriptions.has(group.name)) {
      this.#remove(known)
      return this.#answerSame(id, group, subscription)
    }
    const past = (known.past ?? (known.behind ?? this.#owner.behind(known.group, this.access))()).for(group)
    this.#remove(known)
    return this.subscribe(id, group, past, subscription)
  }

  /** It has such a subscription already. */
  #answerSame(id: string, group: Group, replaces?: string): boolean {
    this.#send(subscribedFrame(id, group.name, group.wanted.rate, replaces))
    return false
  }

  unsubscribe(id: string, name: string): void {
    const subscription = this.#subscriptions.get(name)
    if (subscription === undefined) return
    this.#remove(subscription)
    this.#send(unsubscribedFrame(id, name))
  }

  refuse(refusal: CommandRefusal): void {
    if (++this.#errors > LIVE_ERRORS_PER_SOCKET_MAX) this.end(CLOSE.tooManyErrors)
    else this.#send(errorFrame(refusal.id, refusal.error))
  }

  /** Sends one frame of the past, if there is one and room for it. Returns whether there is more to do. */
  step(): boolean {
    const socket = this.#socket
    if (socket === undefined || this.#lossySince !== undefined) return false
    if (socket.bufferedBytes > LIVE_PAST_PAUSE_BYTES) return false // Until it drains.
    const [subscription] = this.#due
    if (subscription === undefined) return false
    // Each in its turn.
    this.#due.delete(subscription)
    this.#takeStep(subscription, socket)
    return this.#due.size > 0
  }

  #takeStep(subscription: Subscription, socket: Socket): void {
    subscription.past ??= subscription.behind?.()
    subscription.behind = undefined
    const { past } = subscription
    const step = past?.next() ?? 'done'
    if (step === 'late') {
      this.end(CLOSE.slow)
    } else if (step === 'done') {
      this.#goLive(subscription)
    } else if ('rest' in step) {
      this.#setPast(subscription, step.rest)
    } else if ('frame' in step) {
      socket.send(step.frame)
      // There was room for it.
      this.#waiting.since = this.#owner.now()
      this.#due.add(subscription)
    } else {
      const again = () => {
        if (
          past !== undefined &&
          subscription.past === past &&
          this.#subscriptions.get(subscription.group.name) === subscription
        ) {
          this.#setPast(subscription, past)
        }
      }
      step.then(again, (error: unknown) => {
        if (this.#subscriptions.get(subscription.group.name) === subscription) this.#fail(subscription, error)
      })
    }
  }

  /** Its past cannot be had. */
  #fail(subscription: Subscription, error: unknown): void {
    const refusal = this.#owner.refusalOf(this, subscription.id, error)
    if (refusal === undefined) return
    this.#remove(subscription)
    this.refuse(refusal)
  }

  /** Looks whether the app takes what it is sent; if not it leaves the live stream, before anything is lost. Whether it did. */
  look(): boolean {
    const socket = this.#socket
    if (socket === undefined || socket.bufferedBytes <= LIVE_BEHIND_BYTES) return false
    let hasLeft = false
    for (const subscription of this.#subscriptions.values()) {
      if (subscription.past !== undefined || subscription.behind !== undefined) continue
      this.#leaveTopic(subscription)
      subscription.behind = this.#owner.behind(subscription.group, this.access)
      this.#due.add(subscription)
      hasLeft = true
    }
    if (hasLeft && !this.#isBehind) {
      this.#isBehind = true
      this.#waiting = { bytes: socket.bufferedBytes, since: this.#owner.now() }
    }
    return hasLeft
  }

  /** It gets nothing more but its close code. */
  dropped(): void {
    this.#owner.dropped()
    if (this.#lossySince !== undefined) return
    this.#lossySince = this.#owner.now()
    // Not at once: the server is going through the topics that this changes.
    setImmediate(() => this.#leaveAll())
  }

  drained(): void {
    this.#waiting.since = this.#owner.now()
    if (this.#lossySince !== undefined) this.end(CLOSE.slow)
    else if (this.#due.size > 0) this.#owner.hasPast(this)
  }

  /** What time alone brings about. */
  sweep(now: number): void {
    if (this.#lossySince !== undefined) {
      if (now - this.#lossySince > LIVE_SLOW_CLOSE_MS) this.cut(CLOSE.slow)
      return
    }
    const over = this.#owner.whyOver(this.access)
    if (over !== undefined) {
      this.end(over === 'expired' ? CLOSE.tokenExpired : CLOSE.tokenRevoked)
    } else if (this.#isStalled(now)) {
      this.end(CLOSE.slow)
    } else if (Math.abs(now - this.#pingedAt) >= this.#pingMs) {
      this.#pingedAt = now
      if (this.#unanswered++ >= LIVE_PINGS_UNANSWERED_MAX) this.cut(CLOSE.silent)
      else this.#socket?.ping()
    }
  }

  /** Whether it is behind, or its past waits for room, and it has taken nothing for too long. */
  #isStalled(now: number): boolean {
    const bytes = this.waitingBytes
    const isOwed = this.#isBehind || bytes > LIVE_PAST_PAUSE_BYTES
    if (!isOwed || bytes < this.#waiting.bytes) this.#waiting.since = now
    this.#waiting.bytes = bytes
    return bytes > 0 && now - this.#waiting.since > LIVE_SLOW_CLOSE_MS
  }

  /** Asks the app to come back after so many milliseconds. */
  drain(retryMs: number): void {
    const { code, text } = CLOSE.draining
    this.#send(closingFrame(code, text, retryMs))
    this.end(CLOSE.draining)
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

  #setPast(subscription: Subscription, past: Past): void {
    subscription.past = past
    this.#due.add(subscription)
    this.#owner.hasPast(this)
  }

  #goLive(subscription: Subscription): void {
    const { group } = subscription
    subscription.past = undefined
    if (this.#due.size === 0) this.#isBehind = false
    this.#send(liveFrame(group.name, this.#owner.cursorOf(group)))
    if (this.#lossySince === undefined) this.#joinTopic(subscription)
  }

  #joinTopic(subscription: Subscription): void {
    this.#socket?.join(subscription.group.name)
    if (subscription.isLive) return
    subscription.isLive = true
    subscription.group.live++
  }

  #leaveTopic(subscription: Subscription): void {
    this.#socket?.leave(subscription.group.name)
    if (!subscription.isLive) return
    subscription.isLive = false
    subscription.group.live--
  }

  #remove(subscription: Subscription): void {
    const { group, past } = subscription
    this.#subscriptions.delete(group.name)
    this.#due.delete(subscription)
    past?.drop()
    this.#leaveTopic(subscription)
    this.#owner.left(group)
  }

  #leaveAll(): void {
    for (const subscription of [...this.#subscriptions.values()]) this.#remove(subscription)
  }

  /** A frame that does not fit makes the connection lossy, by `dropped`. */
  #send(frame: Frame): void {
    if (this.#lossySince === undefined) this.#socket?.send(frame)
  }
}

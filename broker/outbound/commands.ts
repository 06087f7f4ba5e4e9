/**
 * Owns the delivery of commands to devices: which device is there for them, which of them are under way to it, and what it says to each.
 * They are kept by the log (`log/commands.ts`); here is only what a connection, or a session that is not clean, is owed.
 *
 *   a device subscribes, comes back, has acknowledged one, or has a new one --> look --`sent` is durable--> PUBLISH --PUBACK--> acknowledged
 *
 * Always true: a command goes to its device alone, past Aedes's fan-out, and is under way once: what a session is owed is sent again by
 * that session, with its packet id and DUP, and anything else that is not over as a new message when the device next subscribes. One
 * that is over while its device is away is taken out of the session; on a connection its PUBACK may still come, and counts.
 * At QoS 0 it is over with that it is sent. Bound: `UNDER_WAY_MAX` of a device; the others follow as it acknowledges.
 */

import type { Client } from 'aedes'
import { commandsTopic, isDeviceId } from '../../identity/topics.ts'
import { type Command, type CommandChange, type Commands, isOver } from '../../log/commands.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Logger } from '../../platform/logger.ts'
import { type Acknowledgement, internals, type QueuedPacket } from '../aedes/internals.ts'
import type { Connection } from '../inbound/connection.ts'
import { commandProperties } from '../mqtt5/message-properties.ts'
import { FAILURE_MIN } from '../mqtt5/reason-codes.ts'
import type { Session } from '../session/session.ts'
import type { PersistentSessions } from './persistent-sessions.ts'

/** Commands that a device has not acknowledged yet; the next follows when it has. */
const UNDER_WAY_MAX = 16
/** Between two looks for what has expired. */
const EXPIRY_LOOK_MS_MIN = 100
const EXPIRY_LOOK_MS_MAX = 3_600_000

/** A message that a connection or a session is owed. */
interface UnderWay {
  readonly id: string
  readonly expiresAt: number
  readonly clientId: string
  /** Of a clean session, with the packet id; of another `PersistentSessions` knows, by the broker's number of the message. */
  readonly sent: { readonly client: Client; readonly messageId: number } | undefined
  readonly number: number
  /** The device has said what there is to say, and that is being made durable. */
  isAnswered: boolean
}

export interface CommandDeliveriesDependencies {
  readonly commands: Commands
  readonly persistent: PersistentSessions
  readonly connections: Pick<WeakMap<Client, Connection>, 'get'>
  readonly isConnected: (clientId: string) => boolean
  /** Whether no other connection of the session's device, at whichever broker, has come since. */
  readonly isNewest: (session: Session) => boolean
  readonly nextCounter: () => number
  readonly clock: Clock
  readonly logger: Logger
}

export class CommandDeliveries {
  readonly #dependencies: CommandDeliveriesDependencies
  /** By device: the client that subscribed to its commands last. */
  readonly #recipients = new Map<string, Client>()
  readonly #underWay = new Map<string, UnderWay[]>()
  /** Devices that are looked at, and whether they must be once more. */
  readonly #looking = new Map<string, boolean>()
  /** What devices have said, and is being made durable. */
  readonly #answering = new Set<Promise<void>>()
  readonly #stopping = new AbortController()
  #following: Promise<void> | undefined
  #expiry: NodeJS.Timeout | undefined

  constructor(dependencies: CommandDeliveriesDependencies) {
    this.#dependencies = dependencies
  }

  start(): void {
    this.#following = this.#follow().catch((error: unknown) => {
      this.#dependencies.logger.error(
        { err: error },
        'commands cannot be followed: devices get new ones when they come back',
      )
    })
    this.#planExpiry()
  }

  /** When no client is connected any more. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    clearTimeout(this.#expiry)
    await this.#following
    await Promise.all(this.#answering)
  }

  /** A client has subscribed, to whatever, or its session was restored. */
  subscribed(client: Client): void {
    const device = this.#deviceOf(client)
    if (device === undefined || client.closed || this.#grantedQos(client, device) === undefined) return
    this.#recipients.set(device, client)
    this.#look(device)
  }

  disconnected(client: Client): void {
    const device = this.#deviceOf(client)
    if (device === undefined) return
    if (this.#recipients.get(device) === client) this.#recipients.delete(device)
    this.#forgetEnded(device)
  }

  /** Of every message of QoS > 0; before the session forgets its packet id. */
  acknowledged(client: Client, packet: Acknowledgement): void {
    const { cmd, messageId = 0, isRefused = false, reasonCode = 0 } = packet
    if (cmd !== 'puback' && !isRefused) return
    const device = this.#underWay.size === 0 ? undefined : this.#deviceOf(client)
    const mine = device === undefined ? undefined : this.#underWay.get(device)
    if (device === undefined || mine === undefined) return
    const number = client.clean ? undefined : this.#dependencies.persistent.numberOf(client.id, messageId)
    const found = mine.find((each) =>
      client.clean ? each.sent?.client === client && each.sent.messageId === messageId : each.number === number,
    )
    if (found === undefined) return
    found.isAnswered = true
    const change = answerOf(found, isRefused, reasonCode, this.#dependencies.clock.now())
    const answering = this.#answered(device, found, change)
      .catch((error: unknown) => this.#failed(device, error))
      .finally(() => this.#answering.delete(answering))
    this.#answering.add(answering)
  }

  async #answered(device: string, answered: UnderWay, change: CommandChange | undefined): Promise<void> {
    if (change === undefined) await this.#expire()
    else await this.#dependencies.commands.change(device, [change])
    this.#keepUnderWay(device, (each) => each !== answered)
    this.#look(device)
  }

  async #follow(): Promise<void> {
    for await (const device of this.#dependencies.commands.follow(this.#stopping.signal)) {
      this.#planExpiry()
      if (device !== undefined) this.#look(device)
      else for (const each of [...this.#recipients.keys(), ...this.#underWay.keys()]) this.#look(each)
    }
  }

  /** Ends what has expired, now and when it is time for the next. */
  async #expire(): Promise<void> {
    for (let ended = await this.#dependencies.commands.expire(); ended.length > 0; ) {
      for (const device of new Set(ended.map(({ device }) => device))) this.#look(device)
      ended = this.#stopping.signal.aborted ? [] : await this.#dependencies.commands.expire()
    }
    this.#planExpiry()
  }

  #planExpiry(): void {
    clearTimeout(this.#expiry)
    const { commands, clock } = this.#dependencies
    const next = this.#stopping.signal.aborted ? undefined : commands.nextExpiry()
    if (next === undefined) return
    const inMs = Math.min(Math.max(next - clock.now(), EXPIRY_LOOK_MS_MIN), EXPIRY_LOOK_MS_MAX)
    this.#expiry = setTimeout(() => this.#expire().catch((error: unknown) => this.#failed(undefined, error)), inMs)
    this.#expiry.unref()
  }

  /** Sends what a device is due; one look at a time, and another if there was reason for one meanwhile. */
  #look(device: string): void {
    if (this.#looking.has(device)) {
      this.#looking.set(device, true)
      return
    }
    this.#looking.set(device, false)
    this.#sendDue(device)
      .catch((error: unknown) => this.#failed(device, error))
      .finally(() => {
        const again = this.#looking.get(device)
        this.#looking.delete(device)
        if (again && !this.#stopping.signal.aborted) this.#look(device)
      })
  }

  async #sendDue(device: string): Promise<void> {
    const { commands, clock } = this.#dependencies
    const known = commands.of(device)
    this.#withdraw(device, known)
    const client = this.#recipients.get(device)
    const qos = client && this.#grantedQos(client, device)
    if (client === undefined || qos === undefined || this.#stopping.signal.aborted) return
    if (!this.#isNewest(client)) return
    const underWay = this.#underWay.get(device) ?? []
    const ids = new Set(underWay.map(({ id }) => id))
    const now = clock.now()
    const due = known
      .filter((each) => !isOver(each) && each.expiresAt > now && !ids.has(each.id))
      .slice(0, UNDER_WAY_MAX - underWay.length)
    if (due.length === 0) return
    const sent = await commands.change(
      device,
      due.map(({ id }) => ({ id, state: 'sent', isLast: qos === 0 })),
    )
    // It may have gone meanwhile, or come anew: whoever subscribes is looked at again.
    if (this.#recipients.get(device) !== client || client.closed || !this.#isNewest(client)) return
    for (const command of sent) this.#send(client, command, qos)
  }

  #send(client: Client, command: Command, granted: 0 | 1): void {
    const { persistent, nextCounter } = this.#dependencies
    const { id, device, payload, expiresAt } = command
    const number = nextCounter()
    const packet: QueuedPacket = {
      cmd: 'publish',
      brokerCounter: number,
      topic: commandsTopic(device),
      payload: Buffer.from(payload),
      qos: granted,
      retain: false,
      dup: false,
      properties: commandProperties(id, expiresAt),
    }
    if (granted === 1) {
      const messageId = client.clean ? this.#sessionOf(client)?.inFlight.take(client, granted) : undefined
      const isOwed = client.clean ? messageId !== undefined : persistent.add(client.id, packet, granted)
      if (!isOwed) return
      packet.messageId = messageId
      const sent = messageId === undefined ? undefined : { client, messageId }
      const underWay = { id, expiresAt, clientId: client.id, sent, number, isAnswered: false }
      this.#underWay.set(device, [...(this.#underWay.get(device) ?? []), underWay])
    }
    internals(client).deliverQoS(packet, nothing)
  }

  /** Takes what is over from sessions whose client is away. */
  #withdraw(device: string, known: readonly Command[]): void {
    const { persistent, isConnected } = this.#dependencies
    const open = new Set(known.filter((each) => !isOver(each)).map(({ id }) => id))
    for (const { id, clientId, number, isAnswered } of this.#underWay.get(device) ?? []) {
      if (!open.has(id) && !isAnswered && !isConnected(clientId)) persistent.withdraw(clientId, number)
    }
    this.#forgetEnded(device)
  }

  /** What nobody is owed any more: its connection, or its session, has ended. */
  #forgetEnded(device: string): void {
    const { persistent } = this.#dependencies
    this.#keepUnderWay(device, ({ clientId, number, sent, isAnswered }) => {
      if (isAnswered) return true
      return sent === undefined ? persistent.owes(clientId, number) : !sent.client.closed
    })
  }

  #keepUnderWay(device: string, isKept: (each: UnderWay) => boolean): void {
    const left = (this.#underWay.get(device) ?? []).filter(isKept)
    if (left.length > 0) this.#underWay.set(device, left)
    else this.#underWay.delete(device)
  }

  /** Without authentication a client is the device that its id names. */
  #deviceOf(client: Client): string | undefined {
    const holder = this.#sessionOf(client)?.holder
    if (holder?.kind === 'device') return holder.device
    return holder?.kind === 'anyone' && isDeviceId(client.id) ? client.id : undefined
  }

  #isNewest(client: Client): boolean {
    const session = this.#sessionOf(client)
    return session !== undefined && this.#dependencies.isNewest(session)
  }

  #sessionOf(client: Client): Session | undefined {
    return this.#dependencies.connections.get(client)?.session
  }

  /** Undefined: it does not subscribe to its commands. */
  #grantedQos(client: Client, device: string): 0 | 1 | undefined {
    const granted = this.#sessionOf(client)?.subscriptions.grants(commandsTopic(device))
    return granted === undefined ? undefined : granted > 0 ? 1 : 0
  }

  #failed(device: string | undefined, error: unknown): void {
    if (this.#stopping.signal.aborted) return
    this.#dependencies.logger.error({ err: error, device }, 'what became of a command could not be kept')
  }
}

/** Undefined: its time is over. */
function answerOf({ id, expiresAt }: UnderWay, isUnsent: boolean, reasonCode: number, now: number) {
  if (isUnsent && expiresAt <= now) return undefined
  // Nothing else keeps a message from being written that has not expired (`mqtt5/writer.ts`).
  if (isUnsent) return { id, state: 'refused', reason: 'packet-too-large' } as const
  if (reasonCode < FAILURE_MIN) return { id, state: 'acknowledged' } as const
  return { id, state: 'refused', reason: `0x${reasonCode.toString(16)}` } as const
}

function nothing(): void {}

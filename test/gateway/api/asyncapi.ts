/**
 * Owns docs/asyncapi.yaml as the tests hold the gateway against it: a frame that is not described there is an error, and so is a
 * command that fits and is refused for its form, or does not fit and is carried out. `seen` says which of what is described the tests
 * have seen.
 */

import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { Ajv } from 'ajv'
import type { WebSocket } from 'ws'
import { isProtobuf, readReadings } from '../protobuf-frame.ts'
import { HTTP_API } from './openapi.ts'
import { readDescription, resolve, type Schema, Schemas } from './schemas.ts'

type Channel = 'live' | 'stream'

interface Message {
  readonly contentType?: string
  readonly payload: Schema
}

interface ChannelDescription {
  readonly messages: Readonly<Record<string, Message | { readonly $ref: string }>>
  readonly 'x-close-codes'?: Readonly<Record<string, { readonly comeBack: boolean }>>
}

type Members = Readonly<Record<string, unknown>>

/** One event as it was received. */
export interface ReceivedEvent {
  readonly event: string
  readonly id?: string
  readonly data: string
}

/** The binary frame; its name is ours, for it has none. */
const UNDECODED = 'undecodedReadings'
const PROTOBUF = 'protobufReadings'
/** Errors that say that a command has not the form which is described. */
const OF_FORM = new Set(['bad-json', 'bad-command', 'unknown-type'])

export class LiveDescription {
  readonly document = readDescription('docs/asyncapi.yaml')
  /** JSON Schema draft 07 is what AsyncAPI 3.0 builds upon. */
  readonly schemas = new Schemas(this.document, Ajv)
  /** What of `described` was seen. */
  readonly seen = new Set<string>()
  readonly #channels = this.document.channels as Readonly<Record<Channel, ChannelDescription>>

  /** Everything that a test can see: messages, their members, error codes, close codes. */
  described(): string[] {
    return (['live', 'stream'] as const).flatMap((channel) => [
      ...this.#messagesOf(channel).flatMap(([name, { payload }]) => [
        `${channel} ${name}`,
        // As events they are the same.
        ...(channel === 'live' ? membersOf(payload).map((member) => `live ${name}.${member}`) : []),
        ...errorCodesOf(payload).map((code) => `${channel} error ${code}`),
      ]),
      ...this.closeCodes(channel).map((code) => `${channel} closed with ${code}`),
    ])
  }

  /** Throws if a schema is none. */
  compileAll(): void {
    for (const channel of ['live', 'stream'] as const)
      for (const [, { payload }] of this.#messagesOf(channel)) this.schemas.compile(payload)
  }

  closeCodes(channel: Channel): number[] {
    return Object.keys(this.#channels[channel]['x-close-codes'] ?? {}).map(Number)
  }

  comesBack(code: number): boolean | undefined {
    return this.#channels.live['x-close-codes']?.[code]?.comeBack
  }

  /** A text frame, or the data of an event, that the gateway sent. */
  checkFrame(channel: Channel, text: string): Members {
    const frame = JSON.parse(text) as Members
    const name = String(frame.type)
    assert(!(name in COMMANDS), `${name} is sent by apps only`)
    const message = this.#messagesOf(channel).find(([own]) => own === name)?.[1]
    assert(message !== undefined, `docs/asyncapi.yaml has no ${name} on ${channel}: ${text.slice(0, 1_000)}`)
    const problem = this.schemas.problem(message.payload, frame)
    assert(problem === undefined, `${name} is not as docs/asyncapi.yaml says: ${problem}`)
    this.#see(channel, name, frame)
    if (name === 'error') this.seen.add(`${channel} error ${frame.code}`)
    return frame
  }

  /** A binary frame, of which the first byte says whether it is Protobuf. */
  checkBinary(bytes: Buffer): void {
    if (!isProtobuf(bytes)) {
      this.#checkUndecoded(bytes)
      return
    }
    const { merged, byTime, ...frame } = readReadings(bytes)
    this.checkFrame('live', JSON.stringify({ type: 'readings', ...frame, merged, ...(byTime && { byTime }) }))
    this.seen.add(`live ${PROTOBUF}`)
  }

  /** Every length in it is right, and every name is one. */
  #checkUndecoded(bytes: Buffer): void {
    const { DeviceId, StreamName, Cursor, SubscriptionName } = this.document.components.schemas as Record<
      string,
      Schema
    >
    let at = 0
    const take = (length: number) => {
      assert(at + length <= bytes.length, `a binary frame of ${bytes.length} bytes ends at ${at + length}`)
      at += length
      return bytes.subarray(at - length, at)
    }
    const name = (schema: Schema | undefined, length: number) => {
      const text = take(length).toString('latin1')
      assert.equal(schema && this.schemas.problem(schema, text), undefined)
    }
    assert.equal(take(1)[0], 1)
    name(SubscriptionName, take(1).readUInt8())
    name(Cursor, take(2).readUInt16LE())
    assert(at < bytes.length, 'a binary frame has a message')
    while (at < bytes.length) {
      assert(Number.isFinite(take(8).readDoubleLE()))
      take(4)
      name(DeviceId, take(1).readUInt8())
      name(StreamName, take(1).readUInt8())
      const payload = take(take(4).readUInt32LE())
      assert(payload[0] === 0xc3 || ['{', '['].includes(payload.toString().trimStart()[0] ?? ''), 'a payload is one')
    }
    this.seen.add(`live ${UNDECODED}`)
  }

  /** The event's name and id are those of its data. */
  checkEvent({ event, id, data }: ReceivedEvent): void {
    const { type, cursor, before } = this.checkFrame('stream', data)
    assert.equal(event, type)
    assert.equal(id, cursor ?? before, `the id of the event ${type}`)
  }

  /** A command that was carried out. */
  checkAccepted(text: string): void {
    const command = JSON.parse(text) as Members
    const problem = this.problemOfCommand(text)
    assert(problem === undefined, `${text} was carried out, but docs/asyncapi.yaml says: ${problem}`)
    this.#see('live', String(command.type), command)
  }

  /** A command that was refused. */
  checkRefused(text: string, code: string): void {
    if (!OF_FORM.has(code)) return
    assert(
      this.problemOfCommand(text) !== undefined,
      `${text} was refused as ${code}, but docs/asyncapi.yaml allows it`,
    )
  }

  /** Why it is no command; undefined if it is one. */
  problemOfCommand(text: string): string | undefined {
    let command: unknown
    try {
      command = JSON.parse(text)
    } catch (error) {
      return String(error)
    }
    const { type } = (typeof command === 'object' && command !== null ? command : {}) as Members
    const name = String(type)
    if (!Object.hasOwn(COMMANDS, name)) return `there is no command ${name}`
    const message = this.#messagesOf('live').find(([own]) => own === name)?.[1]
    assert(message !== undefined, name)
    return this.schemas.problem(message.payload, command)
  }

  /** How the gateway closed a WebSocket; what others close it with is theirs. */
  checkClose(code: number): void {
    if (code < 4000) return
    assert(this.closeCodes('live').includes(code), `docs/asyncapi.yaml has no close code ${code}`)
    this.seen.add(`live closed with ${code}`)
  }

  #see(channel: Channel, name: string, members: Members): void {
    this.seen.add(`${channel} ${name}`)
    for (const member of Object.keys(members)) this.seen.add(`${channel} ${name}.${member}`)
  }

  #messagesOf(channel: Channel): [name: string, message: Message][] {
    return Object.entries(this.#channels[channel].messages).map(([name, message]) => [
      name,
      resolve(this.document, message),
    ])
  }
}

const COMMANDS = { subscribe: true, update: true, unsubscribe: true }

const membersOf = ({ properties = {} }: Schema) => Object.keys(properties as Members)

function errorCodesOf({ properties = {} }: Schema): readonly string[] {
  const { type, code } = properties as { type?: { const?: string }; code?: { enum?: string[] } }
  return type?.const === 'error' ? (code?.enum ?? []) : []
}

/** Compiled once in a process. */
export const LIVE_API = new LiveDescription()

/** Looks at all that one WebSocket receives, and at how its commands are answered. */
export class CheckedSocket {
  /** Not answered yet, the oldest first. */
  readonly #commands: { readonly id: unknown; readonly type: unknown; readonly text: string }[] = []
  #problem: unknown

  constructor(socket: WebSocket) {
    socket.on('upgrade', (response) => this.#look(() => checkUpgrade(socket, response)))
    socket.on('message', (data, isBinary) => {
      this.#look(() => (isBinary ? LIVE_API.checkBinary(data as Buffer) : this.#received(String(data))))
    })
    socket.on('close', (code) => this.#look(() => LIVE_API.checkClose(code)))
  }

  /** To be told before it is sent. */
  sent(text: string): void {
    let command: unknown
    try {
      command = JSON.parse(text)
    } catch {}
    const { id, type } = (typeof command === 'object' && command !== null ? command : {}) as Members
    this.#commands.push({ id, type, text })
  }

  throwIfWrong(): void {
    if (this.#problem !== undefined) throw this.#problem
  }

  #received(text: string): void {
    const { type, id, code } = LIVE_API.checkFrame('live', text)
    if (type === 'error') {
      const command = this.#answered((sent) => sent.id === id || id === undefined)
      if (command !== undefined) LIVE_API.checkRefused(command, String(code))
    } else if (type === 'subscribed' || type === 'unsubscribed') {
      const command = this.#answered(
        (sent) => sent.id === id && (sent.type === 'unsubscribe') === (type !== 'subscribed'),
      )
      assert(command !== undefined, `${text} answers no command`)
      LIVE_API.checkAccepted(command)
    }
  }

  #answered(isIt: (command: { readonly id: unknown; readonly type: unknown }) => boolean): string | undefined {
    const index = this.#commands.findIndex(isIt)
    return index < 0 ? undefined : this.#commands.splice(index, 1)[0]?.text
  }

  #look(check: () => void): void {
    try {
      check()
    } catch (error) {
      this.#problem ??= error
    }
  }
}

function checkUpgrade(socket: WebSocket, { statusCode = 0, headers }: IncomingMessage): void {
  const target = socket.url.slice(new URL(socket.url).origin.length)
  const answered = new Headers(headers as Record<string, string>)
  HTTP_API.check({ method: 'GET', target, headers: {} }, { status: statusCode, headers: answered }, '')
}

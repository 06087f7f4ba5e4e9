/**
 * Owns what the broker tells the journal of each device: let in, from where and by what; not let in, and why; ended, and why; what of it
 * was dropped or waits. In the words of whoever looks for the device's data.
 *
 * Always true: who was let in is known by its token, its certificate or its password, and what is noted is noted of that device. Who
 * was not has only named devices: by its token, its user name, its client id. What it did is noted of those, as of names; of one whose
 * token was shown by what calls itself otherwise, that another used it.
 * Losing: with authentication off nobody is known, and nothing is noted.
 */

import { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Client } from 'aedes'
import type { Principal } from '../../identity/principal.ts'
import { isDeviceId } from '../../identity/topics.ts'
import type { Journal } from '../../log/journal.ts'
import { addressOf, Disconnect, KEEPALIVE_TIMEOUT } from './disconnects.ts'

/** Of a token that is no use a name is read; one that is longer is not looked at. */
const TOKEN_CHARS_MAX = 8_192
const APP = 'app'
const LEVELS: Readonly<Record<number, string>> = { 3: 'MQTT 3.1', 4: 'MQTT 3.1.1', 5: 'MQTT 5' }

/** Client ids that libraries make up anew each time: nobody looks for one. */
const MADE_UP = /^(mosq-|mqttjs_|paho|auto-)/

/** What a client showed. */
export interface Shown {
  readonly username: string | undefined
  readonly password: Buffer | undefined
}

export class DeviceStory {
  readonly #journal: Journal
  /** When a device connected, its address: the network has forgotten it when the connection has ended. */
  readonly #from = new WeakMap<Client, string>()

  constructor(journal: Journal) {
    this.#journal = journal
  }

  connected(device: string, client: Client, isLevel5: boolean): void {
    const from = addressOf(client)
    this.#from.set(client, from)
    const level = LEVELS[isLevel5 ? 5 : ((client as { version?: number }).version ?? 4)] ?? 'MQTT'
    this.#journal.note(device, { kind: 'connected', code: 'connected', text: `${level} ${carrierOf(client)}`, from })
  }

  /** `error`: what ended the connection, if that is known; `said`: it has sent a DISCONNECT, or it is us who go. */
  disconnected(device: string, client: Client, error: Error | undefined, said?: 'goodbye' | 'stopping'): void {
    const [code, text] = said === 'stopping' ? STOPPED : endOf(error, said === 'goodbye')
    const from = this.#from.get(client)
    this.#journal.note(device, { kind: 'disconnected', code, text, ...(from && { from }) })
  }

  refused(client: Client, { username, password }: Shown, error: Disconnect): void {
    const from = addressOf(client)
    const subject = subjectOf(password)
    const named = new Set([subject, username].filter((name) => name !== APP && isName(name)))
    // Where it is what is wrong, it may be what is printed on the device.
    const isTold = error.reason === 'wrong-client-id' && !MADE_UP.test(client.id)
    if ((named.size === 0 || isTold) && isName(client.id)) named.add(client.id)
    const isOther = isName(username) && username !== APP && username !== subject && client.id !== subject
    for (const name of named) {
      const code = isOther && name === subject ? 'used-by-another' : error.reason
      const event = { kind: 'refused', code, text: error.message, ...(from && { from }) } as const
      this.#journal.note(name as string, event, { isNamed: true })
    }
  }

  /** `named`: the device whose topic it was. */
  dropped(by: Principal, named: string | undefined, code: string, text: string): void {
    const sender = by.kind === 'device' ? by.device : undefined
    if (sender !== undefined) this.#journal.note(sender, { kind: 'dropped', code, text })
    if (named === undefined || named === sender) return
    const who = sender === undefined ? 'an app' : `the device ${sender}`
    const event = {
      kind: 'refused',
      code: 'sent-by-another',
      text: `${who} published on its topic, and may not`,
    } as const
    this.#journal.note(named, event, { isNamed: true })
  }

  slowed(device: string, text: string): void {
    this.#journal.note(device, { kind: 'slowed', code: 'rate-limited', text })
  }
}

const STOPPED = ['stopped', 'the platform was stopped'] as const

function endOf(error: Error | undefined, hasSaidGoodbye: boolean): readonly [code: string, text: string] {
  if (error instanceof Disconnect) return [error.reason, error.message]
  if (error?.message === KEEPALIVE_TIMEOUT) {
    return ['keep-alive', 'nothing came from it for one and a half times its keep alive']
  }
  const code = error !== undefined && 'code' in error ? String(error.code) : undefined
  if (code === 'left' || hasSaidGoodbye) return ['left', error?.message ?? 'it disconnected by itself']
  const why = code === undefined ? '' : ` (${code})`
  return ['lost', `its connection ended without a word of it${why}`]
}

function carrierOf({ conn }: Client): string {
  if (conn instanceof TLSSocket) return 'over TLS'
  return conn instanceof Socket ? 'over TCP' : 'over a WebSocket'
}

const isName = (name: string | undefined): name is string =>
  name !== undefined && isDeviceId(name) && !name.startsWith('aedes_')

/** Whom a token names, whoever signed it. */
function subjectOf(token: Buffer | undefined): string | undefined {
  if (token === undefined || token.length > TOKEN_CHARS_MAX) return undefined
  const [, claims = ''] = token.toString('latin1').split('.')
  try {
    const { sub } = JSON.parse(Buffer.from(claims, 'base64url').toString('utf8')) as { sub?: unknown }
    return typeof sub === 'string' ? sub : undefined
  } catch {
    return undefined
  }
}

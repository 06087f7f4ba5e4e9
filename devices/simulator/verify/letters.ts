/**
 * Owns the comparison of the messages that were to be set aside with the dead letters that are held. They are told apart by device, topic and
 * code, and where their numbers do not agree by their bytes.
 *
 * Always true: a letter is of one message, and counts once. Bound: `FETCHES_MAX` letters are asked for with their bytes; of more, what cannot
 * be told apart is told by number.
 */

import { hashOf } from '../kept/row-hash.ts'
import type { Findings } from './findings.ts'
import type { GatewayApi } from './gateway-api.ts'
import type { Sent } from './sent.ts'

const PAGE_LETTERS = 1_000
const PAGES_MAX = 1_000
const FETCHES_MAX = 1_000
const TOPIC_LEVELS = 4

export interface Letter {
  readonly id: string
  readonly device: string
  readonly topic: string
  readonly code: string
  readonly message: string
  /** When it was received, milliseconds since 1970. */
  readonly at: number
}

/** What is of the run: by the number of its last dead letter where that is known, else by time, milliseconds since 1970. */
export interface Until {
  readonly at: number
  readonly letter: number | undefined
}

const isUntil = ({ id, at }: Letter, until: Until): boolean =>
  until.letter === undefined ? at <= until.at : Number(id) <= until.letter

/** Those of the run's devices that were set aside since. `after`: the newest dead letter before the run. */
export async function* lettersSince(
  gateway: GatewayApi,
  since: { readonly at: number; readonly after: number | undefined; readonly until: Until },
): AsyncGenerator<Letter> {
  let next: string | undefined
  for (let pages = 0; pages < PAGES_MAX; pages++) {
    // By their number where it is known: clocks of two machines differ.
    const from = since.after === undefined ? Math.floor(since.at) : undefined
    const page: { readonly deadLetters: readonly Letter[]; readonly next?: string } = (await gateway.get<{
      deadLetters: Letter[]
      next?: string
    }>('/v1/deadletters', { limit: PAGE_LETTERS, from, after: next })) ?? { deadLetters: [] }
    for (const letter of page.deadLetters) {
      if (since.after !== undefined && Number(letter.id) <= since.after) return
      if (isUntil(letter, since.until)) yield letter
    }
    next = page.next
    if (next === undefined) return
  }
}

/** What the letters say of the messages. */
export interface Matched {
  /** Of messages that were to be set aside, and are, with whatever code. */
  readonly asIntended: Set<number>
  /** Good ones, that were set aside. */
  readonly setAside: Set<number>
  /** Set aside with another code, or though they were to be dropped. */
  readonly amiss: Set<number>
  /** Acknowledged and to be set aside, and not held. */
  readonly unheld: number[]
  readonly letters: number
}

export async function matchLetters(
  letters: AsyncIterable<Letter>,
  sent: Sent,
  {
    findings,
    payloadOf,
  }: { readonly findings: Findings; readonly payloadOf: (id: string) => Promise<Buffer | undefined> },
): Promise<Matched> {
  const match = new Match(sent, findings)
  for await (const letter of letters) match.take(letter)
  await match.tellApart(payloadOf)
  return match.result()
}

export const payloadFrom =
  (gateway: GatewayApi) =>
  async (id: string): Promise<Buffer | undefined> => {
    const letter = await gateway.get<{ payload: string }>(`/v1/deadletters/${id}`)
    return letter && Buffer.from(letter.payload, 'base64')
  }

/** Messages and letters of one topic (of one device) and code. */
interface Group {
  readonly messages: number[]
  readonly letters: Letter[]
}

class Match {
  readonly #sent: Sent
  readonly #findings: Findings
  readonly #groups = new Map<string, Group>()
  readonly #asIntended = new Set<number>()
  readonly #setAside = new Set<number>()
  readonly #amiss = new Set<number>()
  #letters = 0

  constructor(sent: Sent, findings: Findings) {
    this.#sent = sent
    this.#findings = findings
    for (let message = 0; message < sent.messages; message++) {
      const code = codeOf(sent.outcome(message))
      if (code !== undefined) this.#group(deviceTopicOf(message, sent), code).messages.push(message)
    }
  }

  take(letter: Letter): void {
    if (this.#sent.devices.find(letter.device) === undefined) return
    this.#letters++
    this.#group(`${letter.device} ${letter.topic}`, letter.code).letters.push(letter)
  }

  async tellApart(payloadOf: (id: string) => Promise<Buffer | undefined>): Promise<void> {
    const isFew = this.#letters <= FETCHES_MAX
    const unclear: Letter[] = []
    for (const { messages, letters } of this.#groups.values()) {
      if (!isFew && this.#agree(messages, letters.length)) for (const message of messages) this.#asIntended.add(message)
      else unclear.push(...letters)
    }
    const byBytes = unclear.length > 0 ? this.#messagesByBytes(unclear) : new Map<string, number[]>()
    for (const letter of unclear.slice(0, FETCHES_MAX)) {
      const payload = await payloadOf(letter.id)
      // It was replayed or purged meanwhile: somebody has seen it.
      if (payload !== undefined) this.#assign(letter, byBytes.get(`${letter.device} ${hashOf(payload)}`) ?? [])
    }
    const more = unclear.length - FETCHES_MAX
    if (more > 0) {
      const because = `${more} more dead letters of its devices than were looked at one by one do not agree in number with what was sent`
      this.#findings.add({ code: 'set-aside', stage: 'dead-letters', count: more, because })
    }
  }

  result(): Matched {
    const sent = this.#sent
    const unheld: number[] = []
    for (const { messages } of this.#groups.values()) {
      for (const message of messages)
        if (sent.isPromised(message) && !this.#asIntended.has(message)) unheld.push(message)
    }
    return {
      asIntended: this.#asIntended,
      setAside: this.#setAside,
      amiss: this.#amiss,
      unheld,
      letters: this.#letters,
    }
  }

  readonly #taken = new Map<number, number>()

  /** Which of the messages of these bytes it is: one with its topic and code, that has not as many letters as it was sent. */
  #assign(letter: Letter, messages: readonly number[]): void {
    const sent = this.#sent
    const example = `${letter.device} on ${letter.topic}, dead letter ${letter.id} (${letter.code}): ${letter.message}`
    const ofTopic = messages.filter((message) => deviceTopicOf(message, sent) === `${letter.device} ${letter.topic}`)
    if (ofTopic.length === 0) {
      const because = `a dead letter has bytes that ${messages.length === 0 ? 'its device' : 'nobody on its topic'} sent`
      this.#findings.add({ code: 'invented', stage: 'dead-letters', because, example })
      return
    }
    const free = ofTopic.filter((message) => (this.#taken.get(message) ?? 0) < sent.times(message))
    const [message] = [...free].sort((a, b) => this.#likelihood(b, letter) - this.#likelihood(a, letter) || a - b)
    if (message === undefined) {
      const because = 'there are more dead letters of it than it was sent'
      this.#findings.add({ code: 'duplicated', stage: 'dead-letters', because, example })
      return
    }
    this.#taken.set(message, (this.#taken.get(message) ?? 0) + 1)
    this.#judge(message, letter, example)
  }

  /** Of messages of the same bytes: whose code it has, and who still has none and must have one. */
  #likelihood(message: number, { code }: Letter): number {
    const intended = codeOf(this.#sent.outcome(message))
    const isOwed = this.#sent.isPromised(message) && !this.#taken.has(message)
    return (intended === code ? 4 : intended !== undefined ? 2 : 0) + (isOwed ? 1 : 0)
  }

  #judge(message: number, { code, message: words }: Letter, example: string): void {
    const outcome = this.#sent.outcome(message)
    const intended = codeOf(outcome)
    if (intended !== undefined) {
      this.#asIntended.add(message)
      if (intended === code) return
      this.#amiss.add(message)
      const because = `it was to be ${intended}, and is ${code}: "${words}"`
      this.#findings.add({ code: 'wrong-code', stage: 'ingest', because, example })
    } else if (outcome === 'dropped') {
      this.#amiss.add(message)
      const because = 'it was taken and set aside, though its device may not send it there'
      this.#findings.add({ code: 'accepted-though-forbidden', stage: 'broker', because, example })
    } else {
      this.#setAside.add(message)
      const stage = code === 'store-rejected' ? 'store' : code === 'log-damaged' ? 'log' : 'ingest'
      this.#findings.add({ code: 'set-aside', stage, because: `${code}: "${words}"`, example })
    }
  }

  /** As many letters as messages; one that was not acknowledged may have come, one that was sent again may have come again. */
  #agree(messages: readonly number[], letters: number): boolean {
    const sent = this.#sent
    const least = messages.filter(sent.isPromised).length
    const most = messages.reduce((sum, message) => sum + sent.times(message), 0)
    return letters >= least && letters <= most
  }

  /** By device and hash, those of the devices that the letters are of. */
  #messagesByBytes(letters: readonly Letter[]): Map<string, number[]> {
    const sent = this.#sent
    const devices = new Set(letters.map(({ device }) => sent.devices.find(device)))
    const found = new Map<string, number[]>()
    for (let message = 0; message < sent.messages; message++) {
      if (!devices.has(sent.device(message))) continue
      const key = `${sent.devices.text(sent.device(message))} ${sent.payloadHash(message)}`
      const known = found.get(key)
      if (known === undefined) found.set(key, [message])
      else known.push(message)
    }
    return found
  }

  #group(deviceTopic: string, code: string): Group {
    const key = `${deviceTopic} ${code}`
    let group = this.#groups.get(key)
    if (group === undefined) {
      group = { messages: [], letters: [] }
      this.#groups.set(key, group)
    }
    return group
  }
}

/** The code of a message that is to be set aside. */
const codeOf = (outcome: string): string | undefined => (outcome.startsWith('dead:') ? outcome.slice(5) : undefined)

/** A dead letter's topic is without the level that says how its payload is framed. */
function deviceTopicOf(message: number, sent: Sent): string {
  const topic = sent.topics.text(sent.topic(message))
  const shown = topic.startsWith('devices/') ? topic.split('/').slice(0, TOPIC_LEVELS).join('/') : topic
  return `${sent.devices.text(sent.device(message))} ${shown}`
}

/**
 * Owns one connection to an InfluxDB server: requests by @influxdata/influxdb-client's transport, one attempt each (its
 * `WriteApi` loses data when it retries or closes). What the answers mean is in `answers.ts`.
 *
 * Always true: a request ends within `INFLUX_REQUEST_MS_MAX`, by abort if need be (a timed-out request of the client
 * is not destroyed by itself); sockets are kept alive and closed by `close()`. Bounds: `INFLUX_ANSWER_BYTES_MAX`,
 * `INFLUX_ERROR_BYTES_MAX`.
 */

import http, { Agent as HttpAgent, type IncomingMessage, type RequestOptions } from 'node:http'
import https, { Agent as HttpsAgent } from 'node:https'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { InfluxDB, type Transport } from '@influxdata/influxdb-client'
import { INFLUX_ANSWER_BYTES_MAX } from '../../platform/limits.ts'
import { isLoopback } from '../../platform/loopback.ts'
import { maskPassword } from '../../platform/setting-kinds.ts'
import { StoreError } from '../store.ts'
import {
  AnswerTooLarge,
  answerOfFailure,
  answerOfPlainBadRequest,
  answerOfWrite,
  type Taken,
  type WriteAnswer,
} from './answers.ts'
import { VICTORIA_HEADER } from './victoria.ts'

export interface InfluxOptions {
  readonly kind: 'influx'
  /** Base URL, without `/api/v2`. */
  readonly url: string
  /** A token; with `v1` `user:password`; empty for none. */
  readonly token: string
  /** Organisation (`v2`). */
  readonly org: string
  /** Bucket (`v2`) or database (`v1`). */
  readonly bucket: string
  readonly api: 'v1' | 'v2'
  /** Of an answer to a history query; `INFLUX_ANSWER_BYTES_MAX` unless given. */
  readonly answerBytesMax?: number
}

/** A request without an answer is aborted after so long. */
const INFLUX_REQUEST_MS_MAX = 30_000
/** A body larger than this is compressed. */
const INFLUX_GZIP_BYTES_MIN = 8 * 1024
/** Bytes of the body of an error; a larger one is not read on, and the attempt has failed. A 400 may quote every line of its request. */
export const INFLUX_ERROR_BYTES_MAX = 16 * 1024 * 1024

const compress = promisify(gzip)

export class InfluxConnection {
  /** As messages name it. */
  readonly #server: string
  /** How InfluxQL names the bucket. */
  readonly #database: Readonly<Record<string, string>>
  readonly #transport: Transport
  readonly #agent: HttpAgent
  readonly #writePath: string
  /** Not within one machine: it would cost both ends 0.7 us a line to spare a network that is not there. */
  readonly #compresses: boolean
  readonly #answerBytesMax: number

  constructor(options: InfluxOptions) {
    this.#server = `InfluxDB at ${maskPassword(options.url)}`
    this.#database = databaseOf(options)
    this.#answerBytesMax = options.answerBytesMax ?? INFLUX_ANSWER_BYTES_MAX
    this.#compresses = !isLoopback(new URL(options.url).hostname)
    this.#agent = options.url.startsWith('https:')
      ? new HttpsAgent({ keepAlive: true })
      : new HttpAgent({ keepAlive: true })
    this.#transport = withoutDeprecation(
      () =>
        new InfluxDB({
          url: options.url,
          ...(options.token !== '' && { token: options.token }),
          timeout: INFLUX_REQUEST_MS_MAX,
          transportOptions: { agent: this.#agent, 'follow-redirects': { http: bounded(http), https: bounded(https) } },
        }).transport,
    )
    const { org, bucket } = options
    this.#writePath =
      options.api === 'v1'
        ? `/write?${new URLSearchParams({ db: bucket, precision: 'ns' })}`
        : `/api/v2/write?${new URLSearchParams({ org, bucket, precision: 'ns' })}`
  }

  /** Rejects with a `StoreError` when the server, not the data, is the reason. */
  async write(lines: Buffer, signal: AbortSignal): Promise<WriteAnswer> {
    const zipped = this.#compresses && lines.length > INFLUX_GZIP_BYTES_MIN
    // Level 1: a third of the CPU of the client's own level 6, for a body a tenth larger.
    const body = zipped ? await compress(lines, { level: 1 }) : lines
    const headers = {
      'content-type': 'text/plain; charset=utf-8',
      ...(zipped && { 'content-encoding': 'gzip' }),
    }
    try {
      return answerOfWrite(this.#server, await this.#send('POST', this.#writePath, body, headers, signal))
    } catch (error) {
      // VictoriaMetrics says in plain text that a line is too long. A proxy answers so to no lines at all, too.
      const plain = answerOfPlainBadRequest(error)
      if (plain !== undefined && (await this.#takesNone(signal))) return plain
      return answerOfFailure(this.#server, 'writes', error)
    }
  }

  /** Whether a write without lines is taken: then what was said of one with lines was said of the lines. */
  async #takesNone(signal: AbortSignal): Promise<boolean> {
    const headers = { 'content-type': 'text/plain; charset=utf-8' }
    const none = this.#send('POST', this.#writePath, Buffer.alloc(0), headers, signal)
    return await none.then(
      ({ status }) => status === 204,
      () => false,
    )
  }

  /**
   * The text of an InfluxQL answer, a JSON a line (`GET /query`, times in microseconds: `epoch=u`, for `us` is not known and gives
   * nanoseconds). In chunks, for one that is not is cut by 1.x at its `max-row-limit`, and what is left out of it mostly untold.
   */
  async query(statements: string, signal: AbortSignal): Promise<string> {
    const path = `/query?${new URLSearchParams({ ...this.#database, epoch: 'u', chunked: 'true', q: statements })}`
    try {
      return (await this.#send('GET', path, Buffer.alloc(0), { accept: 'application/json' }, signal)).text
    } catch (error) {
      const answer = answerOfFailure(this.#server, 'queries', error)
      throw new StoreError('store-unavailable', `${this.#server} refused a query: ${answer.reason}`, {
        retry: 'slowly',
        cause: error,
      })
    }
  }

  /** The text of a server's `/metrics`; undefined if it is not to be read. */
  async metrics(signal: AbortSignal): Promise<string | undefined> {
    const asked = this.#send('GET', '/metrics', Buffer.alloc(0), {}, signal)
    return await asked.then(
      ({ text }) => text,
      () => undefined,
    )
  }

  close(): void {
    this.#agent.destroy()
  }

  #send(
    method: string,
    path: string,
    body: Buffer,
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<Taken> {
    return new Promise((resolve, reject) => {
      const abort = new AbortController()
      const onStop = () => abort.abort()
      const timer = setTimeout(() => {
        reject(new Error(`no answer within ${INFLUX_REQUEST_MS_MAX} ms`))
        abort.abort()
      }, INFLUX_REQUEST_MS_MAX)
      signal.addEventListener('abort', onStop, { once: true })
      if (signal.aborted) onStop()
      const settled = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', onStop)
      }
      const chunks: Uint8Array[] = []
      let bytes = 0
      let status = 0
      let isVictoria = false
      // The declared type is a string, but what it does with it is `Buffer.from(body, 'utf-8')`, which copies a buffer.
      this.#transport.send(
        path,
        body as unknown as string,
        { method, headers, signal: abort.signal },
        {
          responseStarted: (answered, statusCode) => {
            status = statusCode ?? 0
            isVictoria = answered[VICTORIA_HEADER] !== undefined
          },
          next: (chunk) => {
            bytes += chunk.byteLength
            if (bytes <= this.#answerBytesMax) chunks.push(chunk)
            else {
              settled()
              reject(
                new AnswerTooLarge(
                  `the answer is larger than ${this.#answerBytesMax} bytes: ask for a shorter time, fewer devices, or windows`,
                ),
              )
              // In a turn of its own: a request that is aborted while the last piece of its answer is handed over leaves its socket's
              // error to nobody (Node 20 and 22: `responseKeepAlive` lets go of the socket before the error comes).
              setImmediate(() => abort.abort())
            }
          },
          error: (error) => {
            settled()
            abort.abort()
            reject(error)
          },
          complete: () => {
            settled()
            resolve({ status, text: Buffer.concat(chunks).toString('utf8'), isVictoria })
          },
        },
      )
    })
  }
}

/**
 * InfluxDB 2.x takes what stands before the first slash of a bucket's name for the database, and what stands behind it for the
 * retention policy (tried with 2.7).
 */
function databaseOf({ api, bucket }: InfluxOptions): Readonly<Record<string, string>> {
  const slash = api === 'v2' ? bucket.indexOf('/') : -1
  return slash < 0 ? { db: bucket } : { db: bucket.slice(0, slash), rp: bucket.slice(slash + 1) }
}

/** The most that deflate can make of a byte. */
const INFLATION_MAX = 1_032

/**
 * Node's `http` or `https` with a bound on the body of an error. The client (1.35) collects the whole body of a JSON error;
 * one that never ended made a string too long, and the throw, in an event of a stream, ended the thread. The client has no
 * option against it, but takes its request function from the module given for following redirects: this one follows none.
 */
function bounded({ request }: Pick<typeof http, 'request'>) {
  const watch = (response: IncomingMessage) => {
    if ((response.statusCode ?? 0) < 300) return
    const bytesMax = INFLUX_ERROR_BYTES_MAX / (response.headers['content-encoding'] === undefined ? 1 : INFLATION_MAX)
    let bytes = 0
    response.on('data', (chunk: Uint8Array) => {
      bytes += chunk.byteLength
      if (bytes <= bytesMax) return
      response.removeAllListeners('data')
      const what = `it answered ${response.statusCode} with more than ${INFLUX_ERROR_BYTES_MAX} bytes`
      // Not `destroy`, which would first say "aborted"; the request is aborted by whoever hears of this.
      response.emit('error', new AnswerTooLarge(what))
    })
  }
  return {
    request: (options: RequestOptions, take: (response: IncomingMessage) => void) =>
      request(options, (response) => {
        watch(response)
        take(response)
      }),
  }
}

/** The client's constructor parses its URL with `url.parse` (influxdb-client 1.35, its last release), of which Node warns (DEP0169). */
function withoutDeprecation<T>(make: () => T): T {
  const before = process.noDeprecation
  process.noDeprecation = true
  try {
    return make()
  } finally {
    process.noDeprecation = before ?? false
  }
}

/**
 * Owns the door between the gateway and the library that speaks HTTP and WebSocket: what the gateway asks of it, and nothing
 * of how it does it. Two rooms implement it, `uws/` and `node/`; `choose.ts` picks one; one contract suite runs on both.
 *
 * Always true of a server: what a peer sends comes in order; a `Socket` that was closed, by whom ever, is told `closed` once
 * and nothing after that; a call on one that is gone does nothing. Bounds: a frame from an app `LIVE_COMMAND_BYTES_CUT`,
 * what waits for an app `LIVE_BACKPRESSURE_BYTES_MAX` (then a frame is dropped, and `dropped` told), a request's head
 * `HTTP_HEAD_BYTES_MAX`, a peer that sends or takes nothing `HTTP_IDLE_SECONDS_MAX`, connections as `Connections` says.
 */

import { TelltaleError } from '../../platform/errors.ts'
import type { Connections } from './connections.ts'

export type Headers = Readonly<Record<string, string>>

/** What is sent to an app at once: text, or bytes. */
export interface Frame {
  /** What it is, to apps that get events. */
  readonly event: string
  /** The place that an app which has it may go on from. */
  readonly cursor?: string
  readonly data: string | Buffer
}

/** `listen-failed`: the port is taken, or the certificate cannot be used. `server-unusable`: its library cannot be loaded. */
export class ServerError extends TelltaleError {}

export interface ServerOptions {
  /** PEM files; HTTP and WebSocket are spoken over TLS then. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string }
  /** Where a request to upgrade to WebSocket is one; on any other path it is an ordinary request. */
  readonly webSocketPath: string
  /** Is told of every connection, and says which one is cut. */
  readonly connections: Connections
}

export interface ServerHandlers {
  readonly request: (exchange: Exchange) => void
  /** The exchange may be answered as any other, or by `upgrade`. */
  readonly upgrade: (exchange: UpgradeExchange) => void
  /** The server goes on, but could not take a connection. */
  readonly troubled: (error: Error) => void
}

/** Throws a `ServerError` `listen-failed` if the certificate cannot be used. */
export type MakeServer = (options: ServerOptions, handlers: ServerHandlers) => Server

export interface Server {
  /** Resolves with the port: a free one for 0. Rejects with a `ServerError` `listen-failed`. */
  listen(host: string, port: number): Promise<number>
  /** Sends `frame` to every socket that has joined `topic`. */
  publish(topic: string, frame: Frame): void
  /**
   * Has new connections served by what the certificate's files hold now; those that there are stay. Throws a `ServerError` if they
   * cannot be used, and then nothing changes.
   */
  renewCertificate(): void
  /** Takes no more connections, and cuts those that there are. */
  close(): void
}

/** One request, whose head may be read only during the handler's call; and its answer. */
export interface Exchange {
  /** As sent: `GET`, `HEAD`... */
  readonly method: string
  /** Without the query. */
  readonly path: string
  /** What follows the `?`; empty if there is none. */
  readonly query: string
  /** The peer's address, as people write it: `127.0.0.1`, `::1`. */
  readonly peer: string
  /** By lower-case name; empty if there is none. */
  header(name: string): string
  /** Whether there is a header whose lower-case name is such. */
  hasHeader(name: RegExp): boolean

  /** The body, if it is no longer than `bytesMax`; to be asked for during the handler's call. Never resolves if the peer leaves. */
  body(bytesMax: number): Promise<Buffer | undefined>

  /** `gone` is called if the peer leaves before the answer is whole. */
  onGone(gone: () => void): void
  /** The whole answer. */
  send(status: string, headers: Headers, body: string | Buffer): void
  /** Only the head of an answer, which tells the body's length where it is known. */
  sendHead(status: string, headers: Headers, bodyBytes?: number): void
  /**
   * Begins an answer that comes in pieces. `taken` is called whenever the peer has taken what was written. One that is lasting may be
   * quiet for long, and whoever writes it says when a peer has taken nothing for too long.
   */
  begin(status: string, headers: Headers, taken: () => void, options?: { readonly isLasting: boolean }): void
  /** Whether more may be written at once; if not, `taken` will be called. */
  write(chunk: string): boolean
  end(): void
  /** Ends the connection in the midst of an answer, by which the peer knows that it is not whole. */
  cut(): void
}

export interface UpgradeExchange extends Exchange {
  /** Makes a WebSocket of the connection, with the subprotocol, if it is not empty. */
  upgrade(subprotocol: string, listener: SocketListener): void
}

/** What is told of one WebSocket. */
export interface SocketListener {
  opened(socket: Socket): void
  message(data: Buffer, isBinary: boolean): void
  /** A pong came: the app is there. */
  alive(): void
  /** A frame for it was dropped, for too much waits already. May be told in the midst of `publish` or `send`. */
  dropped(): void
  /** Some of what waited was taken. */
  drained(): void
  /** It is gone. */
  closed(): void
}

/** One app's WebSocket. */
export interface Socket {
  send(frame: Frame): void
  /** What waits in this process to be taken, bytes. */
  readonly bufferedBytes: number
  join(topic: string): void
  leave(topic: string): void
  ping(): void
  /** Closes it with a close frame (RFC 6455 section 5.5.1). */
  end(code: number, reason: string): void
  /** Closes it without a word. */
  cut(): void
}

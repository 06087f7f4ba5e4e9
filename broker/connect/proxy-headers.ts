/**
 * Owns the PROXY headers that a load balancer puts before what its clients send (HAProxy's PROXY protocol, versions 1 and 2): where a
 * connection really comes from, for limits by address and for log lines.
 *
 *   socket --header is whole--> named by its origin, begins
 *             |--none, a wrong one, none in time--> refused
 *
 * Always true: nothing behind a header is looked at before the header is whole. A balancer's own connections (LOCAL, UNKNOWN)
 * have the balancer's address. Bounds: a header has at most `HEADER_BYTES_MAX` and is whole within `CONNECT_TIMEOUT_MS`; one
 * origin is remembered a connection.
 */

import { isIP, type Socket, SocketAddress } from 'node:net'
import { CONNECT_TIMEOUT_MS } from '../../platform/limits.ts'
import { readBuffered } from '../inbound/inbound.ts'
import { Disconnect, type Disconnects } from '../reports/disconnects.ts'
import { PROXY_V1, PROXY_V2, startsWith } from './first-packet.ts'

/** Of version 2; its optional fields (TLVs) are few. A larger one is refused. */
export const HEADER_BYTES_MAX = 2 * 1024
/** Of version 1, as its specification says. */
const LINE_BYTES_MAX = 107
/** Version 2: signature, command, family, length. */
const FIXED_BYTES = 16

interface Header {
  readonly bytes: number
  /** Undefined: the balancer itself. */
  readonly origin: string | undefined
}

export class ProxyHeaders {
  readonly #disconnects: Disconnects
  /** By the balancer's address and port: a TLS socket shows these of the socket beneath it, and nothing else. */
  readonly #origins = new Map<string, string>()

  constructor(disconnects: Disconnects) {
    this.#disconnects = disconnects
  }

  /** Calls `begin` when the header of a new connection has been read. */
  read(socket: Socket, begin: () => void): void {
    let come: Buffer = Buffer.alloc(0)
    const leave = () => {
      clearTimeout(timer)
      socket.off('readable', look).off('end', gone).off('error', gone).off('close', leave)
      // Until somebody else listens: an error that nobody hears ends the process.
      socket.on('error', ignore)
    }
    const gone = () => {
      leave()
      socket.destroy()
    }
    const refuse = (message: string) => {
      leave()
      this.#disconnects.end(socket, new Disconnect('protocol-error', message))
    }
    const look = () => {
      const piece = readBuffered(socket)
      if (piece === null) return
      come = Buffer.concat([come, piece])
      const header = parseHeader(come)
      if (header === 'incomplete') return
      if (header === 'wrong') {
        refuse('it begins with no PROXY header, which TELLTALE_PROXY_PROTOCOL=true asks of each connection')
        return
      }
      leave()
      if (header.bytes < come.length) socket.unshift(come.subarray(header.bytes))
      if (header.origin !== undefined) this.#remember(socket, header.origin)
      // When the stream has noticed that nobody reads it any more.
      setImmediate(() => {
        if (socket.readableEnded) socket.destroy()
        else if (!socket.destroyed) begin()
      })
    }
    const timer = setTimeout(() => refuse('its PROXY header was not whole in time'), CONNECT_TIMEOUT_MS).unref()
    socket.on('readable', look).on('end', gone).on('error', gone).on('close', leave)
  }

  #remember(socket: Socket, origin: string): void {
    const peer = peerOf(socket)
    this.#origins.set(peer, origin)
    socket.once('close', () => this.#origins.delete(peer))
    setAddress(socket, origin)
  }

  /** A TLS socket over one whose header was read; its handshake may have failed. */
  name(socket: Socket): void {
    const origin = this.#origins.get(peerOf(socket))
    if (origin !== undefined) setAddress(socket, origin)
  }
}

function ignore(): void {}

const peerOf = ({ remoteAddress, remotePort }: Socket) => `${remoteAddress} ${remotePort}`

function setAddress(socket: Socket, address: string): void {
  Object.defineProperty(socket, 'remoteAddress', { value: address })
}

export function parseHeader(come: Buffer): Header | 'incomplete' | 'wrong' {
  for (const [start, parse] of [
    [PROXY_V1, parseLine],
    [PROXY_V2, parseBinary],
  ] as const) {
    if (come.length < start.length ? startsWith(start, come) : startsWith(come, start)) return parse(come)
  }
  return 'wrong'
}

function parseLine(come: Buffer): Header | 'incomplete' | 'wrong' {
  const line = come.subarray(0, LINE_BYTES_MAX).toString('latin1')
  const end = line.indexOf('\r\n')
  if (end < 0) return come.length < LINE_BYTES_MAX ? 'incomplete' : 'wrong'
  const bytes = end + 2
  const [, family, source = ''] = line.slice(0, end).split(' ')
  if (family === 'UNKNOWN') return { bytes, origin: undefined }
  const isGood = /^TCP[46]$/.test(family ?? '') && isIP(source) === Number(family?.at(-1))
  return isGood ? { bytes, origin: source } : 'wrong'
}

function parseBinary(come: Buffer): Header | 'incomplete' | 'wrong' {
  if (come.length < FIXED_BYTES) return 'incomplete'
  const [command, family] = [come.readUInt8(12), come.readUInt8(13)]
  const bytes = FIXED_BYTES + come.readUInt16BE(14)
  if (command >> 4 !== 2 || (command & 0xf) > 1 || bytes > HEADER_BYTES_MAX) return 'wrong'
  if (come.length < bytes) return 'incomplete'
  const addresses = come.subarray(FIXED_BYTES, bytes)
  if ((command & 0xf) === 0) return { bytes, origin: undefined }
  switch (family >> 4) {
    case 1:
      return addresses.length < 12 ? 'wrong' : { bytes, origin: addresses.subarray(0, 4).join('.') }
    case 2:
      return addresses.length < 36 ? 'wrong' : { bytes, origin: ipv6(addresses) }
    default:
      return { bytes, origin: undefined }
  }
}

function ipv6(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index).toString(16))
  return new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address
}

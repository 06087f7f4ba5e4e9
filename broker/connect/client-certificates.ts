/**
 * Owns the certificates that clients showed in their TLS handshakes, where `TELLTALE_TLS_IDENTITY` is `cert`: each names one
 * device, by the common name of its subject, or where that is empty by its one alternative name (RFC 6125 section 2.3).
 *
 * Always true: Node has checked the certificate, against the list of those revoked too. A list that comes later ends the connections
 * of those in it (`isRevoked`); a certificate ends the connection when it expires.
 */

import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import type { Principal } from '../../identity/principal.ts'
import { isDeviceId } from '../../identity/topics.ts'
import type { Pems } from '../../platform/certificate-watch.ts'
import { certificateId, revokedIds } from './crl.ts'

type Device = Extract<Principal, { kind: 'device' }>

/** A name in a certificate that is no device's. */
export class NoDevice extends Error {}

export class ClientCertificates {
  readonly #devices = new WeakMap<Duplex, Device | NoDevice>()
  readonly #ids = new WeakMap<Principal, string>()
  #revoked: ReadonlySet<string> = new Set()

  /** From now on those in its list of revoked certificates are. */
  renew({ crl = [] }: Pems): void {
    this.#revoked = new Set(crl.flatMap(revokedIds))
  }

  /** The stream of a client came by `socket`, whose handshake is done. */
  note(stream: Duplex, socket: Duplex): void {
    if (!(socket instanceof TLSSocket) || !socket.authorized) return
    const certificate = socket.getPeerX509Certificate()
    if (certificate === undefined) return
    // To Node a subject that is empty is none.
    const { subject = '', subjectAltName = '', validTo, raw } = certificate
    const name = nameIn(subject, subjectAltName)
    if (!isDeviceId(name)) {
      this.#devices.set(stream, new NoDevice(`the certificate names ${JSON.stringify(name)}, which is no device id`))
      return
    }
    const device: Device = { kind: 'device', device: name, expiresAt: Date.parse(validTo) }
    this.#devices.set(stream, device)
    this.#ids.set(device, certificateId(raw))
  }

  /** Undefined for a client that showed none, or came without TLS. */
  of(stream: Duplex): Device | NoDevice | undefined {
    return this.#devices.get(stream)
  }

  isRevoked(principal: Principal): boolean {
    const id = this.#ids.get(principal)
    return id !== undefined && this.#revoked.has(id)
  }
}

function nameIn(subject: string, alternatives: string): string {
  const common = subject.split('\n').filter((line) => line.startsWith('CN='))
  if (common.length > 0) return common.length === 1 ? (common[0] ?? '').slice('CN='.length) : common.join(', ')
  const names = alternatives.split(', ').filter(Boolean)
  return names.length === 1 ? (names[0] ?? '').replace(/^(DNS|URI):/, '') : names.join(', ')
}

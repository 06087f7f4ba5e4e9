/**
 * Owns what goes with a message from a publisher to subscribers of level 5: the properties of the application (section 3.3.2.3),
 * when it expires, and whether it was published to be retained. Aedes hands `properties` on from packet to packet and looks at
 * none of it; subscribers of another level are sent nothing of it.
 *
 * Always true: it does not change once it is made, for a message is handed to many. Bound: the bytes of the PUBLISH.
 */

import { text } from './properties.ts'

/** What of a packet may have them. */
interface Carrier {
  readonly properties?: unknown
}

export class MessageProperties {
  /** As they are written, without their length. */
  readonly bytes: Buffer
  /** Milliseconds since 1970-01-01T00:00Z; undefined: never. */
  readonly expiresAt: number | undefined
  /** It was published with RETAIN (section 3.3.1.3), which a subscription with Retain As Published shows. */
  readonly isRetained: boolean

  constructor(bytes: Buffer, expiresAt: number | undefined, isRetained = false) {
    this.bytes = bytes
    this.expiresAt = expiresAt
    this.isRetained = isRetained
  }

  static of({ properties }: Carrier): MessageProperties | undefined {
    return properties instanceof MessageProperties ? properties : undefined
  }

  /** Bytes that a message has besides its topic and payload. */
  static bytesOf(packet: Carrier): number {
    return MessageProperties.of(packet)?.bytes.length ?? 0
  }

  static hasExpired(packet: Carrier, now: number): boolean {
    const { expiresAt } = MessageProperties.of(packet) ?? {}
    return expiresAt !== undefined && expiresAt <= now
  }
}

const NOTHING = Buffer.alloc(0)
/** Of a message of the broker's own: UTF-8, and which. */
export const JSON_TEXT = new MessageProperties(
  Buffer.concat([Buffer.of(0x01, 1, 0x03), text('application/json')]),
  undefined,
)
/** Of a command to a device: the same, when it expires, and its id, by which a device knows one that comes twice. */
export function commandProperties(id: string, expiresAt: number): MessageProperties {
  return new MessageProperties(Buffer.concat([JSON_TEXT.bytes, Buffer.of(0x26), text('command'), text(id)]), expiresAt)
}

const RETAINED = new MessageProperties(NOTHING, undefined, true)

/** The properties of a message that is handed on without its RETAIN. */
export function retained(packet: Carrier): MessageProperties {
  const { bytes, expiresAt } = MessageProperties.of(packet) ?? RETAINED
  return bytes.length === 0 && expiresAt === undefined ? RETAINED : new MessageProperties(bytes, expiresAt, true)
}

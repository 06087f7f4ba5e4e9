/**
 * Owns what belongs to one connection, from when its CONNECT is whole until it is gone: the way its bytes come in, and its
 * session once it is known whose it is.
 */

import type { Session } from '../session/session.ts'
import type { Inbound } from './inbound.ts'

export class Connection {
  readonly inbound: Inbound
  /** From the authentication on. */
  session: Session | undefined

  constructor(inbound: Inbound) {
    this.inbound = inbound
  }
}

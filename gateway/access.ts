/**
 * Owns who may read what through the gateway: a token becomes an `Access`, the telemetry its filters select. It comes in a header,
 * as a subprotocol, or in the query.
 */

import type { Principal } from '../identity/principal.ts'
import { namesDevice } from '../identity/scope.ts'
import { selectionCovers, selectionOf } from '../identity/topics.ts'
import type { Selection } from '../schemas/history.ts'
import { Refusal } from './refusal.ts'

/** `Authorization: Bearer <token>` (RFC 6750 section 2.1; the scheme's case does not matter). */
const BEARER = /^bearer +(\S+) *$/i

type App = Extract<Principal, { kind: 'app' }>

export class Access {
  /** What the token's filters select; empty if they select no telemetry at all. */
  readonly selections: readonly Selection[]
  /** Who holds the token. */
  readonly principal: App

  constructor(principal: App) {
    this.selections = principal.filters.map(selectionOf).filter((selection) => selection !== undefined)
    this.principal = principal
  }

  covers(selection: Selection): boolean {
    return this.selections.some((own) => selectionCovers(own, selection))
  }

  /** Whether it may know of the device, for it may read some of its telemetry. */
  sees(device: string): boolean {
    return this.selections.some((own) => own.device === undefined || own.device === device)
  }

  /** Whether it may know of whatever device there is. */
  get seesAll(): boolean {
    return this.selections.some(({ device }) => device === undefined)
  }

  commands(device: string): boolean {
    return this.principal.commands?.some((pattern) => namesDevice(pattern, device)) === true
  }

  /** Throws a `Refusal` `forbidden` naming the filter. */
  require(selection: Selection, filter: string): void {
    if (!this.covers(selection)) throw new Refusal('forbidden', outside(filter))
  }
}

export const outside = (filter: string): string =>
  `the filter ${JSON.stringify(filter)} lies outside the token's filters`

/** The token of a request: the header's, else that of the subprotocol or the query; empty if there is none. */
export function tokenOf(authorization: string, otherToken: string | undefined): string {
  const token = BEARER.exec(authorization)?.[1] ?? otherToken
  // Beside another token the header may be for somebody else, such as a proxy before this.
  if (token === undefined && authorization !== '') {
    throw new Refusal('token-invalid', 'the header Authorization is in another form: right is "Bearer <token>"')
  }
  return token ?? ''
}

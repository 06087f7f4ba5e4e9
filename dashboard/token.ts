/**
 * Owns the token: what a link brought, kept in this browser until somebody signs out. It comes in the link's fragment, or its query, and is
 * taken out of the address at once; it goes nowhere but to this gateway, in a header or a subprotocol.
 */

import { computed, signal } from '@preact/signals'
import { linkTo, replace } from './address.ts'

const KEPT = 'telltale.token'

export const token = signal<string>(taken() ?? kept())

/** A link with another token may be opened where the page is already. */
addEventListener('hashchange', () => {
  token.value = taken() ?? token.value
})

/** What the page offers; the gateway has the last word. */
export interface Allowed {
  /** Whether it may replay and purge dead letters. */
  readonly deadLetters: boolean
  /** Topic filters: what it may read. */
  readonly filters: readonly string[]
  /** Devices that it may command: ids, and `truck-*` for all that begin so. */
  readonly commands: readonly string[]
  /** Milliseconds. */
  readonly expiresAt?: number
}

export const allowed = computed<Allowed>(() => {
  // A gateway that lets one in without a token lets one do all (TELLTALE_AUTH=off).
  if (token.value === '') return { deadLetters: true, filters: ['#'], commands: ['*'] }
  const { scope, filters, commands, exp } = claimsOf(token.value)
  return {
    deadLetters: typeof scope === 'string' && scope.split(' ').includes('dead-letters'),
    filters: textsOf(filters),
    commands: textsOf(commands),
    ...(typeof exp === 'number' && { expiresAt: exp * 1000 }),
  }
})

const textsOf = (claim: unknown): string[] =>
  Array.isArray(claim) ? claim.filter((each) => typeof each === 'string') : []

export function signIn(given: string): void {
  token.value = given.trim()
  keep(token.value)
}

export function signOut(): void {
  token.value = ''
  keep('')
}

function taken(): string | undefined {
  const inQuery = new URLSearchParams(location.search).get('access_token')
  const inFragment = /[#&?]access_token=([^&]+)/.exec(location.hash)?.[1]
  const given = inQuery ?? (inFragment && decodeURIComponent(inFragment))
  if (!given) return undefined
  replace(linkTo([]))
  keep(given)
  return given
}

/** A browser may forbid to keep anything; then the link is needed again after a reload. */
function kept(): string {
  try {
    return localStorage.getItem(KEPT) ?? ''
  } catch {
    return ''
  }
}

function keep(given: string): void {
  try {
    if (given === '') localStorage.removeItem(KEPT)
    else localStorage.setItem(KEPT, given)
  } catch {
    // As above: it is good for as long as the page is open.
  }
}

/** The claims of a JWT (RFC 7519 section 3), unchecked; none of what is no JWT. */
function claimsOf(text: string): Record<string, unknown> {
  try {
    const body = (text.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/')
    const bytes = Uint8Array.from(atob(body), (character) => character.charCodeAt(0))
    return JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    return {}
  }
}

/**
 * Owns the state of the page, which is its address: which view is shown, of what, and how it is filtered. It stands behind the `#`, which a
 * browser sends to no server: `#/devices/truck-7?range=6h`. So a link, a bookmark and "back" show the same again.
 */

import { signal } from '@preact/signals'

export interface Address {
  /** `['devices', 'truck-7']`; decoded. */
  readonly path: readonly string[]
  readonly query: URLSearchParams
}

/** A value that is undefined or empty is left out. */
export type Query = Readonly<Record<string, string | undefined>>

export const address = signal<Address>(read())

addEventListener('hashchange', () => {
  address.value = read()
})

function read(): Address {
  const [path = '', query = ''] = location.hash.replace(/^#\/?/, '').split('?')
  const parts = path.split('/').filter((part) => part !== '')
  return { path: parts.map(decoded), query: new URLSearchParams(query) }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

/** As an `href`. */
export function linkTo(path: readonly string[], query: Query = {}): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => !!entry[1])
  const search = new URLSearchParams(given).toString()
  return `#/${path.map(encodeURIComponent).join('/')}${search && `?${search}`}`
}

/** The address as it is, with some of the query changed. */
export function linkWith(changes: Query): string {
  const { path, query } = address.value
  return linkTo(path, { ...Object.fromEntries(query), ...changes })
}

/** As if the link had been followed. */
export function go(link: string): void {
  location.hash = link
}

/** Without a step in the history: for what changes while one types. */
export const change = (changes: Query): void => replace(linkWith(changes))

/** Without a step in the history. */
export function replace(link: string): void {
  history.replaceState(history.state, '', `${location.pathname}${link}`)
  address.value = read()
}

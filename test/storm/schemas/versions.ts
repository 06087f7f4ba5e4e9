/**
 * Owns the versions of the stream that the schema storm is about, and what each reading must become, whichever version it was sent by:
 * worked out here, and not by our decoder.
 */

import { probe } from '../../schemas/schema-folder.ts'

const X = { name: 'x', type: 'double' }
const N = { name: 'n', type: 'int' }
const WIDER = { name: 'n', type: 'long' }
const Y = { name: 'y', type: ['null', 'float'], default: null, unit: 'Cel' }
const SYMBOLS = ['unknown', 'idle', 'running']
const STATE = {
  name: 'state',
  type: { type: 'enum', name: 'State', symbols: SYMBOLS, default: 'unknown' },
  default: 'unknown',
}
const POSITION = {
  type: 'record',
  name: 'Position',
  fields: [
    { name: 'lat', type: 'double' },
    { name: 'lon', type: 'double' },
  ],
}
const AT = { name: 'at', type: ['null', POSITION], default: null }
const ALARM = { name: 'alarm', type: ['null', 'boolean'], default: null }

/** A wider integer, a column that may be null, an enum with a default, fields in another order, a nested record. */
export const VERSIONS: readonly object[] = [
  probe(X, N),
  probe(X, WIDER, Y),
  probe(X, WIDER, Y, STATE),
  probe(AT, STATE, Y, WIDER, X),
  probe(AT, STATE, Y, WIDER, X, ALARM),
]

export type Values = Readonly<Record<string, number | string | boolean>>

const LARGE = 2 ** 33

/** What a device sends as its reading of that number. */
export function recordOf(version: number, number: number, ts: number): object {
  const { x, n, y = null, state, at_lat: lat, at_lon: lon, alarm } = meantBy(version, number)
  return {
    ts,
    x,
    n,
    ...(version >= 2 && { y }),
    ...(version >= 3 && { state }),
    ...(version >= 4 && { at: lat === undefined ? null : { lat, lon } }),
    ...(version >= 5 && { alarm }),
  }
}

/** What is to be stored of it and seen live. */
export function meantBy(version: number, number: number): Values {
  return {
    x: number / 8 - 1000,
    n: version === 1 ? -1 - number : LARGE + number,
    ...(version >= 2 && number % 3 !== 0 && { y: (number % 977) / 10 }),
    state: version < 3 ? 'unknown' : (SYMBOLS[number % SYMBOLS.length] as string),
    ...(version >= 4 && number % 5 !== 0 && { at_lat: 48 + number / 1024, at_lon: -number / 1024 }),
    ...(version >= 5 && { alarm: number % 2 === 0 }),
  }
}

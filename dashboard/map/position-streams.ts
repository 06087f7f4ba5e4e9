/** Owns which streams have positions: those with a latitude and a longitude in degrees, by the names that people give them. */

import { computed } from '@preact/signals'
import type { StreamSchema } from '../answers.ts'
import { streams } from '../streams.ts'

const LATITUDES = ['latitude', 'lat']
const LONGITUDES = ['longitude', 'lon', 'lng']
const UNIT = 'deg'

export interface PositionStream {
  readonly stream: string
  /** The names of its columns. */
  readonly latitude: string
  readonly longitude: string
}

/** Sorted by name. */
export const positionStreams = computed<readonly PositionStream[]>(() =>
  [...streams.value.values()].flatMap(positionsIn).toSorted((a, b) => (a.stream < b.stream ? -1 : 1)),
)

function positionsIn({ stream, columns }: StreamSchema): PositionStream[] {
  const oneOf = (names: readonly string[]) =>
    columns.find(({ name, unit }) => unit === UNIT && names.includes(name.toLowerCase()))?.name
  const [latitude, longitude] = [oneOf(LATITUDES), oneOf(LONGITUDES)]
  return latitude === undefined || longitude === undefined ? [] : [{ stream, latitude, longitude }]
}

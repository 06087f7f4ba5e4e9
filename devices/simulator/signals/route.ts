/**
 * Owns a road that a vehicle drives around and around: a smooth loop through a handful of towns, with hills. A place on it is said by metres
 * from its beginning.
 *
 * Always true: the loop closes, in place, direction and height; it is no steeper than `GRADE_MAX` percent. Bound: `POINTS_PER_LEG` points a
 * leg, five legs at most.
 */

import type { Random } from './random.ts'
import { clamp } from './rounding.ts'

export interface Place {
  readonly latitude: number
  readonly longitude: number
  /** Degrees clockwise from north. */
  readonly heading: number
}

interface Town {
  readonly name: string
  readonly latitude: number
  readonly longitude: number
}

const town = (name: string, latitude: number, longitude: number): Town => ({ name, latitude, longitude })

/** Around which a loop goes in the order of their direction, so that it does not cross itself. */
const TOWNS: readonly Town[] = [
  town('Augsburg', 48.3665, 10.8944),
  town('Erding', 48.3064, 11.9076),
  town('Freising', 48.4029, 11.7412),
  town('Ingolstadt', 48.7665, 11.4257),
  town('Kaufbeuren', 47.88, 10.6225),
  town('Landsberg', 48.0477, 10.8828),
  town('Landshut', 48.5372, 12.1522),
  town('Munich', 48.1372, 11.5755),
  town('Pfaffenhofen', 48.5306, 11.5054),
  town('Regensburg', 49.0134, 12.1016),
  town('Rosenheim', 47.8564, 12.1225),
  town('Traunstein', 47.8686, 12.6433),
]
const LEGS_MIN = 3
const LEGS_MAX = 5
const POINTS_PER_LEG = 32
/** Of the mean radius of the earth. */
export const METRES_PER_DEGREE = (6_371_008.8 * Math.PI) / 180
/** Hills: how many on a loop, how high. */
const HILLS = [
  [4, 60],
  [13, 25],
  [31, 12],
] as const
export const GRADE_MAX = 12
const RADIANS = Math.PI / 180

export class Route {
  /** Metres. */
  readonly length: number
  /** Where its towns are, metres from its beginning, rising; the first is at 0. */
  readonly stops: readonly number[]
  readonly #latitudes: Float64Array
  readonly #longitudes: Float64Array
  /** Of each point and, at the end, of the first one again. */
  readonly #metres: Float64Array
  readonly #height: number
  readonly #phases: readonly number[]

  constructor(random: Random) {
    const towns = someTowns(random)
    const count = towns.length * POINTS_PER_LEG
    this.#latitudes = new Float64Array(count + 1)
    this.#longitudes = new Float64Array(count + 1)
    this.#metres = new Float64Array(count + 1)
    for (let at = 0; at <= count; at++) {
      const [leg, share] = [Math.floor(at / POINTS_PER_LEG), (at % POINTS_PER_LEG) / POINTS_PER_LEG]
      const four = [-1, 0, 1, 2].map((by) => towns[(leg + by + towns.length) % towns.length] as Town)
      this.#latitudes[at] = spline(
        four.map(({ latitude }) => latitude),
        share,
      )
      this.#longitudes[at] = spline(
        four.map(({ longitude }) => longitude),
        share,
      )
      if (at > 0) this.#metres[at] = (this.#metres[at - 1] ?? 0) + this.#metresBetween(at - 1, at)
    }
    this.length = this.#metres[count] ?? 0
    this.stops = towns.map((_, leg) => this.#metres[leg * POINTS_PER_LEG] ?? 0)
    this.#height = random.between(380, 560)
    this.#phases = HILLS.map(() => random.between(0, 2 * Math.PI))
  }

  /** `metres` may be beyond the end: the loop begins again. */
  place(metres: number): Place {
    const on = metres % this.length
    const at = this.#pointBefore(on)
    const [from, to] = [this.#metres[at] ?? 0, this.#metres[at + 1] ?? 0]
    const share = (on - from) / (to - from)
    const [latitude, longitude] = [this.#latitudes[at] ?? 0, this.#longitudes[at] ?? 0]
    const [north, east] = [(this.#latitudes[at + 1] ?? 0) - latitude, (this.#longitudes[at + 1] ?? 0) - longitude]
    const heading = Math.atan2(east * Math.cos((latitude + north / 2) * RADIANS), north) / RADIANS
    return {
      latitude: latitude + share * north,
      longitude: longitude + share * east,
      heading: (heading + 360) % 360,
    }
  }

  /** Metres above the sea. */
  elevation(metres: number): number {
    let height = this.#height
    for (let at = 0; at < HILLS.length; at++) height += (HILLS[at]?.[1] ?? 0) * Math.sin(this.#hillAngle(at, metres))
    return height
  }

  /** Percent, uphill positive. */
  grade(metres: number): number {
    let slope = 0
    for (let at = 0; at < HILLS.length; at++) {
      const [count, height] = HILLS[at] ?? [0, 0]
      slope += ((2 * Math.PI * count * height) / this.length) * Math.cos(this.#hillAngle(at, metres))
    }
    return clamp(100 * slope, -GRADE_MAX, GRADE_MAX)
  }

  #hillAngle(hill: number, metres: number): number {
    return (2 * Math.PI * (HILLS[hill]?.[0] ?? 0) * metres) / this.length + (this.#phases[hill] ?? 0)
  }

  #pointBefore(metres: number): number {
    let [low, high] = [0, this.#metres.length - 2]
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.#metres[middle] ?? 0) <= metres) low = middle
      else high = middle - 1
    }
    return low
  }

  #metresBetween(from: number, to: number): number {
    const latitude = ((this.#latitudes[from] ?? 0) + (this.#latitudes[to] ?? 0)) / 2
    const north = (this.#latitudes[to] ?? 0) - (this.#latitudes[from] ?? 0)
    const east = (this.#longitudes[to] ?? 0) - (this.#longitudes[from] ?? 0)
    return METRES_PER_DEGREE * Math.hypot(north, east * Math.cos(latitude * RADIANS))
  }
}

function someTowns(random: Random): readonly Town[] {
  const left = [...TOWNS]
  const count = LEGS_MIN + random.below(LEGS_MAX - LEGS_MIN + 1)
  const chosen = Array.from({ length: count }, () => left.splice(random.below(left.length), 1)[0] as Town)
  const middle = (of: (each: Town) => number) => chosen.reduce((sum, each) => sum + of(each), 0) / count
  const [north, east] = [middle(({ latitude }) => latitude), middle(({ longitude }) => longitude)]
  const direction = ({ latitude, longitude }: Town) => Math.atan2(longitude - east, latitude - north)
  return chosen.sort((one, other) => direction(one) - direction(other))
}

/** Catmull and Rom's: it goes through the second at 0 and through the third at 1, smoothly. */
function spline([a = 0, b = 0, c = 0, d = 0]: readonly number[], share: number): number {
  const [one, two, three] = [c - a, 2 * a - 5 * b + 4 * c - d, 3 * b - a - 3 * c + d]
  return b + 0.5 * share * (one + share * (two + share * three))
}

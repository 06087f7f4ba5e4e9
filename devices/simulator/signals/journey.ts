/**
 * Owns a truck on its route, in the shape of TSBS's iot readings: where it is, how fast, what it burns and carries, and whose it is.
 *
 * Always true: from one reading to the next it has gone its velocity times the time between, along its route; fuel falls by what it burns,
 * until it is filled up in a town. It speeds up and brakes as a truck can, as far as its readings are close enough to see it. Velocity 0 to
 * 25 m/s, fuel 5 to 100 %.
 */

import { Drift, Elapsed, HOUR_MS, type Model, type ModelOf, SECOND_MS } from './model.ts'
import type { Random } from './random.ts'
import { clamp, rounding } from './rounding.ts'
import { type Place, Route } from './route.ts'

/** TSBS's, of its iot use case. */
const FLEETS = ['East', 'West', 'North', 'South'] as const
const DRIVERS = ['Derek', 'Rodney', 'Albert', 'Andy', 'Seth', 'Trish'] as const
const MODELS = ['F-150', 'G-2000', 'H-2'] as const
const LOADS_KG = [1_500, 2_000, 5_000] as const
const SPEED_MAX = 25
const TOWN_SPEED = 12
const TOWN_METRES = 2_500
/** m/s2, speeding up and braking. */
const ACCELERATION = 0.7
const TRAFFIC_MS = 60_000
/** From one traffic light that is red to the next, and how long it is. */
const LIGHTS_MS = 6 * 60_000
const RED_MS = 40_000
/** It is driven in steps, so that a reading in ten minutes is of the same truck as one a second. */
const STEP_MS = 10_000
const STEPS_MAX = 360
const TANK_LITRES = 300
const FUEL_LOW = 15
const IDLE_LITRES_PER_HOUR = 2

interface Hands {
  readonly fleet: string
  readonly driver: string
  readonly model: string
  readonly capacityKg: number
}

function handsOf(random: Random): Hands {
  const kind = random.below(MODELS.length)
  return {
    fleet: FLEETS[random.below(FLEETS.length)] ?? '',
    driver: DRIVERS[random.below(DRIVERS.length)] ?? '',
    model: MODELS[kind] ?? '',
    capacityKg: LOADS_KG[kind] ?? 0,
  }
}

class Journey implements Model {
  readonly columns: ReadonlyMap<string, () => unknown>
  readonly #random: Random
  readonly #route: Route
  readonly #hands: Hands
  readonly #cruise: number
  readonly #traffic: Drift
  readonly #elapsed = new Elapsed()
  /** Since the beginning of its first loop. */
  #metres: number
  /** Of all that it has gone before, kilometres. */
  readonly #driven: number
  readonly #begun: number
  /** Since the reading before, and now. */
  #velocity = 0
  #speed = 0
  #place: Place
  /** It stands in a town for so long yet. */
  #standsMs = 0
  /** Before it is a red light, for so long yet. */
  #redMs = 0
  #nextStop = 0
  #loop = 0
  #fuel: number
  #load: number
  #burnt = IDLE_LITRES_PER_HOUR

  constructor(random: Random) {
    this.#random = random
    this.#hands = handsOf(random)
    this.#route = new Route(random)
    this.#cruise = random.between(19, 23)
    this.#traffic = new Drift(1, TRAFFIC_MS, random)
    this.#metres = random.between(0, this.#route.length)
    this.#begun = this.#metres
    this.#driven = random.between(5_000, 400_000)
    this.#fuel = random.between(40, 100)
    this.#load = this.#someLoad()
    this.#place = this.#route.place(this.#metres)
    while (this.#stopAt() <= this.#metres) this.#toNextStop()
    this.columns = this.#columns()
  }

  advance(at: number): void {
    const ms = this.#elapsed.to(at)
    if (ms === 0) return
    const before = this.#metres
    const fuel = { litres: 0 }
    const steps = Math.min(STEPS_MAX, Math.ceil(ms / STEP_MS))
    for (let step = 0; step < steps; step++) this.#drive(ms / steps, fuel)
    this.#velocity = (this.#metres - before) / (ms / SECOND_MS)
    this.#burnt = (fuel.litres * HOUR_MS) / ms
    this.#place = this.#route.place(this.#metres)
  }

  #drive(ms: number, fuel: { litres: number }): void {
    const wanted = this.#wantedSpeed(ms)
    const seconds = ms / SECOND_MS
    const moving = Math.max(0, ms - this.#standsMs) / ms
    this.#standsMs = Math.max(0, this.#standsMs - ms)
    const change = ACCELERATION * seconds
    const speed = clamp(wanted, this.#speed - 2 * change, this.#speed + change) * moving
    const gone = Math.min(speed * seconds, this.#stopAt() - this.#metres)
    this.#metres += gone
    this.#speed = gone / seconds
    const litres = this.#litres(gone, ms)
    fuel.litres += litres
    this.#fuel = Math.max(5, this.#fuel - (100 * litres) / TANK_LITRES)
    if (this.#metres >= this.#stopAt()) this.#arrive()
  }

  /** As the road, the traffic and the next stop allow. */
  #wantedSpeed(ms: number): number {
    const traffic = this.#traffic.after(ms)
    this.#redMs = Math.max(0, this.#redMs - ms)
    if (this.#random.next() < 1 - Math.exp(-ms / LIGHTS_MS)) this.#redMs = RED_MS
    if (this.#redMs > 0 && ms < RED_MS) return 0
    const before = this.#stopAt() - this.#metres
    const behind = this.#metres - this.#stopBehind()
    const isInTown = Math.min(before, behind) < TOWN_METRES
    const uphill = Math.max(0, this.#route.grade(this.#metres))
    const free = (isInTown ? TOWN_SPEED : this.#cruise - 1.2 * uphill) + traffic
    return clamp(Math.min(free, Math.sqrt(2 * ACCELERATION * before) + 0.5), 0, SPEED_MAX)
  }

  #litres(metres: number, ms: number): number {
    const grade = this.#route.grade(this.#metres)
    const heavy = 1 + this.#load / 20_000
    const perKm = clamp(0.22 * heavy * (1 + 0.25 * grade), 0.02, 1.2)
    return (IDLE_LITRES_PER_HOUR * ms) / HOUR_MS + (perKm * metres) / 1_000
  }

  #arrive(): void {
    const { between } = this.#random
    this.#standsMs += between(2, 12) * 60_000
    this.#load = this.#someLoad()
    if (this.#fuel < FUEL_LOW * between(1, 3)) this.#fuel = between(90, 100)
    this.#toNextStop()
  }

  #someLoad(): number {
    const { next } = this.#random
    return next() < 0.2 ? 0 : Math.round((this.#hands.capacityKg * (0.3 + 0.7 * next())) / 10) * 10
  }

  #toNextStop(): void {
    this.#nextStop++
    if (this.#nextStop < this.#route.stops.length) return
    this.#nextStop = 0
    this.#loop++
  }

  /** Metres from the beginning of its first loop. */
  #stopAt(): number {
    return this.#loop * this.#route.length + (this.#route.stops[this.#nextStop] ?? 0)
  }

  #stopBehind(): number {
    const before = this.#nextStop === 0 ? this.#route.stops.length : this.#nextStop
    return (
      (this.#nextStop === 0 ? this.#loop - 1 : this.#loop) * this.#route.length + (this.#route.stops[before - 1] ?? 0)
    )
  }

  #columns(): ReadonlyMap<string, () => unknown> {
    const [whole, tenth, hundredth, millionth] = [rounding(0), rounding(1), rounding(2), rounding(6)]
    const { fleet, driver, model, capacityKg } = this.#hands
    return new Map<string, () => unknown>([
      ['fleet', () => fleet],
      ['driver', () => driver],
      ['model', () => model],
      ['load_capacity', () => capacityKg],
      ['latitude', () => millionth(this.#place.latitude)],
      ['longitude', () => millionth(this.#place.longitude)],
      ['heading', () => tenth(this.#place.heading) % 360],
      ['elevation', () => tenth(this.#route.elevation(this.#metres))],
      ['grade', () => tenth(this.#route.grade(this.#metres))],
      ['velocity', () => hundredth(this.#velocity)],
      ['speed', () => hundredth(this.#velocity)],
      ['fuel_consumption', () => tenth(this.#burnt)],
      ['fuel_state', () => tenth(this.#fuel)],
      ['current_load', () => whole(this.#load)],
      ['odometer', () => tenth(this.#driven + (this.#metres - this.#begun) / 1_000)],
    ])
  }
}

export const journeyOf: ModelOf = (columns, random) => {
  const has = (column: string) => columns.some(({ name }) => name === column)
  return has('latitude') && has('longitude') ? new Journey(random) : undefined
}

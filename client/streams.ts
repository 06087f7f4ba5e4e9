/** By `telltale schemas types` or `telltale-client types`: for `connect<Streams>(...)`. To change it, run that again. */

/** environment 1: Climate at the device, with the device's own battery and radio. */
export interface Environment {
  /** Air temperature. In Cel. */
  readonly temperature: number
  /** Relative humidity of the air. In %. */
  readonly humidity: number
  /** Air pressure at the device, not reduced to sea level. In hPa. */
  readonly pressure: number
  /** Charge left in the battery. In %. */
  readonly battery: number
  /** Strength of the radio signal received by the device. In dBm. */
  readonly rssi: number
}

/** power 1: A three-phase electricity meter. */
export interface Power {
  /** Which feeder or load is metered. A tag. */
  readonly circuit?: string
  /** Of the grid. In Hz. */
  readonly frequency: number
  /** Root mean square, line to neutral. In V. */
  readonly l1_voltage: number
  /** Root mean square. In A. */
  readonly l1_current: number
  /** Import positive, export negative. In W. */
  readonly l1_active_power: number
  /** In var; inductive positive. In V.A. */
  readonly l1_reactive_power: number
  /** Active over apparent power, -1 to 1. */
  readonly l1_power_factor: number
  /** Root mean square, line to neutral. In V. */
  readonly l2_voltage: number
  /** Root mean square. In A. */
  readonly l2_current: number
  /** Import positive, export negative. In W. */
  readonly l2_active_power: number
  /** In var; inductive positive. In V.A. */
  readonly l2_reactive_power: number
  /** Active over apparent power, -1 to 1. */
  readonly l2_power_factor: number
  /** Root mean square, line to neutral. In V. */
  readonly l3_voltage: number
  /** Root mean square. In A. */
  readonly l3_current: number
  /** Import positive, export negative. In W. */
  readonly l3_active_power: number
  /** In var; inductive positive. In V.A. */
  readonly l3_reactive_power: number
  /** Active over apparent power, -1 to 1. */
  readonly l3_power_factor: number
  /** Counter of active energy taken from the grid. In kW.h. */
  readonly energy_import: number
  /** Counter of active energy given to the grid. In kW.h. */
  readonly energy_export: number
}

/** vehicle 2: Where a road vehicle is and how it moves: the shape of TSBS's iot readings. */
export interface Vehicle {
  /** The fleet the vehicle belongs to. A tag. */
  readonly fleet?: string
  /** Who drives it. A tag. */
  readonly driver?: string
  /** WGS 84, north positive. In deg. */
  readonly latitude: number
  /** WGS 84, east positive. In deg. */
  readonly longitude: number
  /** Above mean sea level. In m. */
  readonly elevation: number
  /** Speed over ground. In m/s. */
  readonly velocity: number
  /** Course over ground, clockwise from north. In deg. */
  readonly heading: number
  /** Slope of the road, uphill positive. In %. */
  readonly grade: number
  /** Fuel the engine takes now. In L/h. */
  readonly fuel_consumption: number
  /** Share of the tank that is full. In %. Since version 2. */
  readonly fuel_state?: number
  /** Mass of the cargo. In kg. Since version 2. */
  readonly current_load?: number
}

/** vibration 1: Vibration of a machine over one measuring window, by sensor and axis. */
export interface Vibration {
  /** Which sensor of the device. A tag. */
  readonly sensor?: string
  /** Direction measured, as marked on the sensor. A tag. */
  readonly axis: 'x' | 'y' | 'z'
  /** Root mean square of the window. In m/s2. */
  readonly acceleration_rms: number
  /** Largest magnitude in the window. In m/s2. */
  readonly acceleration_peak: number
  /** Root mean square, 10 Hz to 1 kHz (ISO 20816). In mm/s. */
  readonly velocity_rms: number
  /** Of the strongest line in the spectrum; null when none stands out. In Hz. */
  readonly dominant_frequency?: number
  /** Of the sensor. In Cel. */
  readonly temperature?: number
}

export interface Streams {
  readonly environment: Environment
  readonly power: Power
  readonly vehicle: Vehicle
  readonly vibration: Vibration
}

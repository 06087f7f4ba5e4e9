/**
 * Owns what a unit may be in a map: a UCUM code (https://ucum.org), as in schemas. UCUM's grammar is not checked; what people write in its
 * place is, for two names of one unit are two units to whoever compares.
 */

const PRINTABLE = /^[\x21-\x7e]+$/
const INSTEAD: ReadonlyMap<string, string> = new Map(
  Object.entries({
    Cel: '°C ℃ degC celsius centigrade C°',
    '[degF]': '°F ℉ degF fahrenheit',
    K: 'kelvin °K',
    '%': 'percent pct %RH %rh',
    'W.h': 'Wh',
    'kW.h': 'kWh KWh kwh',
    'MW.h': 'MWh',
    'A.h': 'Ah',
    'mA.h': 'mAh',
    'V.A': 'VA',
    'kV.A': 'kVA',
    V: 'volt volts',
    A: 'amp amps ampere',
    W: 'watt watts',
    Hz: 'hertz hz',
    lx: 'lux Lux',
    '[ppm]': 'ppm',
    '[ppb]': 'ppb',
    'ug/m3': 'µg/m³ μg/m³ µg/m3 μg/m3 ug/m³',
    m3: 'm³ m^3',
    'm3/h': 'm³/h',
    m2: 'm² m^2',
    'W/m2': 'W/m² W/m^2',
    'm/s2': 'm/s² m/s^2',
    '/min': 'rpm RPM',
    s: 'sec secs second seconds',
    min: 'minute minutes mins',
    h: 'hr hrs hour hours',
    deg: '° degrees degree',
    '[psi]': 'psi',
    '[kn_i]': 'kn knots kt',
    '[mi_i]/h': 'mph',
    'km/h': 'kmh kph kmph',
    '[fur_us]': 'furlong furlongs',
  }).flatMap(([code, names]) => names.split(' ').map((name) => [name, code] as const)),
)

/** What is wrong with it, as the rest of a sentence. */
export function unitFault(unit: string): string | undefined {
  const code = INSTEAD.get(unit)
  if (code !== undefined) return `is no UCUM code; ${JSON.stringify(code)} is`
  return PRINTABLE.test(unit) ? undefined : 'is no UCUM code, such as Cel, "%" or m/s'
}

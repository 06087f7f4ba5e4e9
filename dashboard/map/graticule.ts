/** Owns the ground of a map without tiles: meridians and parallels at round degrees, with what they are at the edges. */

import { CRS, latLng, point } from 'leaflet'
import { CanvasLayer, type Surface } from './canvas-layer.ts'

/** Degrees: from half the globe to a yard. */
const STEPS = [45, 30, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002, 0.0001]
const SPACING_PX = 120
const LABEL_PX = 11
/** Where the plane of the map ends. */
const LATITUDE_MAX = 85

export class Graticule extends CanvasLayer {
  constructor() {
    super('tilePane')
  }

  protected override paint({ context, width, height, scale, left, top, colour }: Surface): void {
    const placeOf = (lat: number, lng: number) => {
      const { x, y } = CRS.EPSG3857.latLngToPoint(latLng(lat, lng), 0)
      return { x: Math.round(x * scale - left) + 0.5, y: Math.round(y * scale - top) + 0.5 }
    }
    const at = (x: number, y: number) => CRS.EPSG3857.pointToLatLng(point((x + left) / scale, (y + top) / scale), 0)
    const [first, last] = [at(0, height), at(width, 0)]
    const step = STEPS.findLast((each) => (each / 360) * 256 * scale >= SPACING_PX) ?? STEPS[0] ?? 45
    const digits = Math.max(0, Math.ceil(-Math.log10(step)))
    context.font = `${LABEL_PX}px system-ui, sans-serif`
    context.lineWidth = 1
    context.strokeStyle = colour('line')
    context.fillStyle = colour('soft')
    for (const lng of rounds(Math.max(first.lng, -180), Math.min(last.lng, 180), step)) {
      const { x } = placeOf(0, lng)
      line(context, x, 0, x, height)
      context.fillText(label(lng, digits, 'E', 'W'), x + 4, LABEL_PX + 4)
    }
    for (const lat of rounds(Math.max(first.lat, -LATITUDE_MAX), Math.min(last.lat, LATITUDE_MAX), step)) {
      const { y } = placeOf(lat, 0)
      line(context, 0, y, width, y)
      const text = label(lat, digits, 'N', 'S')
      // Above are those of the meridians.
      if (y > 3 * LABEL_PX) context.fillText(text, width - context.measureText(text).width - 6, y - 4)
    }
  }
}

function line(context: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number): void {
  context.beginPath()
  context.moveTo(x1, y1)
  context.lineTo(x2, y2)
  context.stroke()
}

function rounds(from: number, to: number, step: number): number[] {
  const [first, last] = [Math.ceil(from / step), Math.floor(to / step)]
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => (first + index) * step)
}

/** `48.05° N`. */
function label(degrees: number, digits: number, positive: string, negative: string): string {
  const text = Math.abs(degrees).toFixed(digits)
  return Number(text) === 0 ? '0°' : `${text}° ${degrees < 0 ? negative : positive}`
}

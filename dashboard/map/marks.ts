/**
 * Owns how the devices look on the map: a mark each, of the shape and the colour of its state, the worst on top; with its name where few
 * are in sight.
 *
 * 5,000 marks are drawn in 30 ms of CPU (Chromium without a GPU, on a busy machine): each is an image that was drawn once, and no element.
 */

import type { DeviceListing } from '../answers.ts'
import { lookOf } from '../states.ts'
import { CanvasLayer, type Surface } from './canvas-layer.ts'
import { type Position, positionOf } from './positions.ts'

/** The last is drawn last. */
const TONES = ['idle', 'good', 'warn', 'bad'] as const
type Tone = (typeof TONES)[number]

const NAMED_MAX = 40
const NAME_PX = 12
/** Half the width of a mark; of a state that somebody should look at it is larger. */
const RADIUS_PX: Readonly<Record<Tone, number>> = { idle: 5.5, good: 5.5, warn: 7.5, bad: 7 }
const BORDER_PX = 2
const MARGIN_PX = 250
/** As far from a mark as a finger may be. */
const REACH_PX = 22

interface Mark {
  readonly listing: DeviceListing
  readonly x: number
  readonly y: number
}

export class Marks extends CanvasLayer {
  #devices: Readonly<Record<Tone, DeviceListing[]>> = { idle: [], good: [], warn: [], bad: [] }
  #inSight: readonly Mark[] = []
  #chosen: string | undefined

  constructor() {
    super('markerPane', MARGIN_PX)
  }

  /** Those that have no position are not drawn. */
  show(devices: readonly DeviceListing[], chosen: string | undefined): void {
    this.#devices = { idle: [], good: [], warn: [], bad: [] }
    for (const listing of devices) this.#devices[lookOf(listing.state).tone].push(listing)
    this.#chosen = chosen
    this.changed()
  }

  /** The worst first. */
  get inSight(): readonly DeviceListing[] {
    const listings = this.#inSight.map(({ listing }) => listing)
    return TONES.toReversed().flatMap((tone) => listings.filter(({ state }) => lookOf(state).tone === tone))
  }

  /** Nearest to this place of the map; of equally near ones the one on top. */
  deviceAt(x: number, y: number): string | undefined {
    let [nearest, found]: [number, string | undefined] = [REACH_PX ** 2, undefined]
    for (const mark of this.#inSight) {
      const distance = (mark.x - x) ** 2 + (mark.y - y) ** 2
      if (distance <= nearest) [nearest, found] = [distance, mark.listing.device]
    }
    return found
  }

  protected override paint(surface: Surface): void {
    const { context, margin, width, height, scale, left, top } = surface
    const inSight: Mark[] = []
    for (const tone of TONES) {
      const image = this.#imageOf(tone, surface)
      const size = image.width / this.ratio
      for (const listing of this.#devices[tone]) {
        const position: Position | undefined = positionOf(listing.device)
        if (position === undefined) continue
        const [x, y] = [position.x * scale - left, position.y * scale - top]
        if (x < -margin || y < -margin || x > width + margin || y > height + margin) continue
        context.drawImage(image, x - size / 2, y - size / 2, size, size)
        if (x > 0 && y > 0 && x < width && y < height) inSight.push({ listing, x, y })
      }
    }
    this.#inSight = inSight
    if (inSight.length <= NAMED_MAX) this.#name(surface)
  }

  /** Names that would lie on others are left out. */
  #name({ context, colour }: Surface): void {
    const taken: { x: number; y: number; width: number }[] = []
    context.font = `600 ${NAME_PX}px system-ui, sans-serif`
    context.textBaseline = 'middle'
    context.lineJoin = 'round'
    context.lineWidth = 3
    context.strokeStyle = colour('card')
    context.fillStyle = colour('ink')
    for (const { listing, x: markX, y } of this.#inSight.toReversed()) {
      if (listing.device === this.#chosen) continue
      const [x, width] = [markX + 12, context.measureText(listing.device).width]
      const isFree = taken.every(
        (other) => Math.abs(other.y - y) > NAME_PX + 4 || x > other.x + other.width || other.x > x + width,
      )
      if (!isFree) continue
      taken.push({ x, y, width })
      context.strokeText(listing.device, x, y)
      context.fillText(listing.device, x, y)
    }
  }

  #images: { readonly of: string; readonly byTone: Map<Tone, ImageBitmap> } = { of: '', byTone: new Map() }

  #imageOf(tone: Tone, { colour }: Surface): ImageBitmap {
    const [fill, border] = [colour(tone), colour('card')]
    const of = `${this.ratio} ${border}`
    if (this.#images.of !== of) this.#images = { of, byTone: new Map() }
    let image: ImageBitmap | undefined = this.#images.byTone.get(tone)
    if (image === undefined) {
      image = drawn(tone, fill, border, this.ratio)
      this.#images.byTone.set(tone, image)
    }
    return image
  }
}

/** The shapes are those of `.dot` in page.css. */
function drawn(tone: Tone, fill: string, border: string, ratio: number): ImageBitmap {
  const radius = RADIUS_PX[tone]
  const half = radius + BORDER_PX
  const size = Math.ceil(2 * half * ratio)
  const canvas = new OffscreenCanvas(size, size)
  const context = canvas.getContext('2d')
  if (context === null) return canvas.transferToImageBitmap()
  const shape = new Path2D()
  if (tone === 'bad') shape.rect(-radius + 1, -radius + 1, 2 * radius - 2, 2 * radius - 2)
  else if (tone === 'warn') {
    shape.moveTo(0, -radius)
    shape.lineTo(radius, radius - 1)
    shape.lineTo(-radius, radius - 1)
    shape.closePath()
  } else shape.arc(0, 0, tone === 'idle' ? radius - 1 : radius, 0, 2 * Math.PI)
  context.scale(ratio, ratio)
  context.translate(half, half)
  context.lineJoin = 'round'
  context.strokeStyle = border
  context.lineWidth = 2 * BORDER_PX
  context.stroke(shape)
  context.fillStyle = tone === 'idle' ? border : fill
  context.fill(shape)
  if (tone === 'idle') {
    context.strokeStyle = fill
    context.lineWidth = 2
    context.stroke(shape)
  }
  return canvas.transferToImageBitmap()
}

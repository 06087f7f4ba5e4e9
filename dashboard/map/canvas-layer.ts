/**
 * Owns how a layer of the map draws all of itself on one canvas, as large as the map and a margin around it: anew when the map was moved
 * further than that, when it rests, and once a frame for whatever else has changed.
 */

import { DomUtil, Layer, type Map as LeafletMap, point } from 'leaflet'

const ZOOMS = 'zoom viewreset resize'
const DARK = matchMedia('(prefers-color-scheme: dark)')

/** What lies from `-margin` to `width + margin` can be drawn; 0 is where the map begins. */
export interface Surface {
  readonly context: CanvasRenderingContext2D
  readonly margin: number
  readonly width: number
  readonly height: number
  /** Of a plane that is 256 wide at zoom 0: a point's place on the map is `x * scale - left`. */
  readonly scale: number
  readonly left: number
  readonly top: number
  /** By the name of a variable of page.css. */
  readonly colour: (name: string) => string
}

export abstract class CanvasLayer extends Layer {
  readonly #pane: string
  readonly #canvas = document.createElement('canvas')
  #map: LeafletMap | undefined
  #frame = 0
  #ratio = 1
  #corner = point(0, 0)
  readonly #margin: number

  /** `pane`: of Leaflet, which decides what lies above what. `margin`: pixels by which the map may be dragged before all is drawn anew. */
  constructor(pane: string, margin = 0) {
    super()
    this.#pane = pane
    this.#margin = margin
  }

  protected abstract paint(surface: Surface): void

  /** Pixels of the screen for one of the page. */
  protected get ratio(): number {
    return this.#ratio
  }

  override onAdd(map: LeafletMap): this {
    this.#map = map
    map.getPane(this.#pane)?.append(this.#canvas)
    map.on(ZOOMS, this.#draw)
    map.on('move', this.#moved)
    map.on('moveend', this.#rests)
    DARK.addEventListener('change', this.changed)
    this.#draw()
    return this
  }

  override onRemove(map: LeafletMap): this {
    cancelAnimationFrame(this.#frame)
    map.off(ZOOMS, this.#draw)
    map.off('move', this.#moved)
    map.off('moveend', this.#rests)
    DARK.removeEventListener('change', this.changed)
    this.#canvas.remove()
    this.#map = undefined
    return this
  }

  /** Draws it again in the next frame. */
  readonly changed = (): void => {
    if (this.#frame === 0) this.#frame = requestAnimationFrame(this.#draw)
  }

  readonly #moved = (): void => this.#drawIfFurther(this.#margin)
  readonly #rests = (): void => this.#drawIfFurther(0)

  /** The map has moved the canvas already. */
  #drawIfFurther(than: number): void {
    const { x, y } = this.#map?.layerPointToContainerPoint(this.#corner) ?? point(0, 0)
    if (Math.max(Math.abs(x + this.#margin), Math.abs(y + this.#margin)) > than) this.#draw()
  }

  readonly #draw = (): void => {
    cancelAnimationFrame(this.#frame)
    this.#frame = 0
    const map = this.#map
    const context = this.#canvas.getContext('2d')
    if (map === undefined || context === null) return
    const { x: width, y: height } = map.getSize()
    const margin = this.#margin
    const [wide, high] = [width + 2 * margin, height + 2 * margin]
    this.#ratio = devicePixelRatio
    const pixels = { width: Math.round(wide * this.#ratio), height: Math.round(high * this.#ratio) }
    if (this.#canvas.width !== pixels.width || this.#canvas.height !== pixels.height) {
      Object.assign(this.#canvas, pixels)
      Object.assign(this.#canvas.style, { width: `${wide}px`, height: `${high}px` })
    }
    this.#corner = map.containerPointToLayerPoint([-margin, -margin])
    DomUtil.setPosition(this.#canvas, this.#corner)
    context.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0)
    context.clearRect(0, 0, wide, high)
    context.translate(margin, margin)
    const { x: left = 0, y: top = 0 } = map.getPixelBounds().min ?? {}
    const style = getComputedStyle(this.#canvas)
    const colour = (name: string) => style.getPropertyValue(`--${name}`)
    this.paint({ context, margin, width, height, scale: 2 ** map.getZoom(), left, top, colour })
  }
}

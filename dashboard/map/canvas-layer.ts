/**
 * Owns how a layer of the map draws all of itself on one canvas, as large as the map: anew whenever the map moves, and once a frame for
 * whatever else has changed.
 */

import { DomUtil, Layer, type Map as LeafletMap } from 'leaflet'

const MOVES = 'move zoom viewreset resize'
const DARK = matchMedia('(prefers-color-scheme: dark)')

export interface Surface {
  readonly context: CanvasRenderingContext2D
  readonly width: number
  readonly height: number
  /** Of a plane that is 256 wide at zoom 0: a point's place on the canvas is `x * scale - left`. */
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

  /** `pane`: of Leaflet, which decides what lies above what. */
  constructor(pane: string) {
    super()
    this.#pane = pane
  }

  protected abstract paint(surface: Surface): void

  /** Pixels of the screen for one of the page. */
  protected get ratio(): number {
    return this.#ratio
  }

  override onAdd(map: LeafletMap): this {
    this.#map = map
    map.getPane(this.#pane)?.append(this.#canvas)
    map.on(MOVES, this.#draw)
    DARK.addEventListener('change', this.changed)
    this.#draw()
    return this
  }

  override onRemove(map: LeafletMap): this {
    cancelAnimationFrame(this.#frame)
    map.off(MOVES, this.#draw)
    DARK.removeEventListener('change', this.changed)
    this.#canvas.remove()
    this.#map = undefined
    return this
  }

  /** Draws it again in the next frame. */
  readonly changed = (): void => {
    if (this.#frame === 0) this.#frame = requestAnimationFrame(this.#draw)
  }

  /** At once where the map moves: it has moved the canvas already. */
  readonly #draw = (): void => {
    cancelAnimationFrame(this.#frame)
    this.#frame = 0
    const map = this.#map
    const context = this.#canvas.getContext('2d')
    if (map === undefined || context === null) return
    const { x: width, y: height } = map.getSize()
    this.#ratio = devicePixelRatio
    const [wide, high] = [Math.round(width * this.#ratio), Math.round(height * this.#ratio)]
    if (this.#canvas.width !== wide || this.#canvas.height !== high) {
      Object.assign(this.#canvas, { width: wide, height: high })
      Object.assign(this.#canvas.style, { width: `${width}px`, height: `${height}px` })
    }
    DomUtil.setPosition(this.#canvas, map.containerPointToLayerPoint([0, 0]))
    context.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0)
    context.clearRect(0, 0, width, height)
    const { x: left = 0, y: top = 0 } = map.getPixelBounds().min ?? {}
    const style = getComputedStyle(this.#canvas)
    const colour = (name: string) => style.getPropertyValue(`--${name}`)
    this.paint({ context, width, height, scale: 2 ** map.getZoom(), left, top, colour })
  }
}

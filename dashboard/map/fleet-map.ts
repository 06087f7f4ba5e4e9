/**
 * Owns the map itself (Leaflet): its ground, or tiles where they are configured; the marks, the chosen device and its trail; and which part
 * of the world is shown.
 */

import {
  control,
  divIcon,
  Map as LeafletMap,
  latLng,
  latLngBounds,
  type Marker,
  marker,
  polyline,
  tileLayer,
} from 'leaflet'
import type { DeviceListing } from '../answers.ts'
import { lookOf } from '../states.ts'
import { Graticule } from './graticule.ts'
import { Marks } from './marks.ts'
import { positionOf } from './positions.ts'
import { TILES } from './tiles.ts'
import type { TrailPoint } from './trail.ts'
import 'leaflet/dist/leaflet.css'

const ZOOM_MAX = 19
/** Of one device, or of several at one place. */
const ZOOM_NEAR = 15
const MARGIN_PX = 40
/** What is in sight is told so often while devices move. */
const SIGHT_MS = 1_000

export interface FleetMapEvents {
  /** Somebody moved the map: `52.52000,13.40500,12`. */
  readonly moved: (view: string) => void
  readonly chosen: (device: string | undefined) => void
  /** The worst first. */
  readonly inSight: (devices: readonly DeviceListing[]) => void
}

export class FleetMap {
  readonly #map: LeafletMap
  readonly #events: FleetMapEvents
  readonly #marks = new Marks()
  readonly #trail = polyline([], { weight: 3, opacity: 0.75, interactive: false })
  readonly #size: ResizeObserver
  #chosen: { readonly device: string; readonly marker: Marker } | undefined
  #isOurs = false
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(element: HTMLElement, events: FleetMapEvents) {
    this.#events = events
    this.#map = new LeafletMap(element, {
      preferCanvas: true,
      attributionControl: false,
      // The canvases are drawn anew with each zoom.
      zoomAnimation: false,
      zoomSnap: TILES === undefined ? 0.25 : 1,
      maxZoom: ZOOM_MAX,
      minZoom: 1,
      worldCopyJump: true,
    })
    this.#quietly(() => this.#map.setView([20, 0], 2))
    // `strict-origin`: whose page it is must be known to servers that give tiles to known pages only.
    if (TILES === undefined) new Graticule().addTo(this.#map)
    else tileLayer(TILES, { maxZoom: ZOOM_MAX, referrerPolicy: 'strict-origin' }).addTo(this.#map)
    control.scale({ imperial: false, maxWidth: 140 }).addTo(this.#map)
    this.#trail.addTo(this.#map)
    this.#marks.addTo(this.#map)
    this.#map.on('moveend', () => {
      if (!this.#isOurs) events.moved(this.view)
      this.#tellSight(0)
    })
    this.#map.on('click', ({ containerPoint: { x, y } }) => events.chosen(this.#marks.deviceAt(x, y)))
    this.#map.on('mousemove', ({ containerPoint: { x, y } }) => {
      element.classList.toggle('over-mark', this.#marks.deviceAt(x, y) !== undefined)
    })
    this.#size = new ResizeObserver(() => this.#quietly(() => this.#map.invalidateSize({ animate: false })))
    this.#size.observe(element)
  }

  remove(): void {
    clearTimeout(this.#timer)
    this.#size.disconnect()
    this.#map.remove()
  }

  get view(): string {
    const { lat, lng } = this.#map.getCenter()
    return [lat.toFixed(5), lng.toFixed(5), Number(this.#map.getZoom().toFixed(2))].join(',')
  }

  /** What is no view is left out. */
  look(view: string): void {
    const [lat = Number.NaN, lng = Number.NaN, zoom = Number.NaN] = view.split(',').map(Number)
    if (view === this.view || !(Math.abs(lat) <= 90 && Math.abs(lng) <= 180 && zoom >= 0)) return
    this.#quietly(() => this.#map.setView([lat, lng], zoom, { animate: false }))
  }

  /** Shows all of these; whether any of them has a position. */
  fit(devices: readonly string[]): boolean {
    const places = devices.flatMap((device) => {
      const position = positionOf(device)
      return position === undefined ? [] : [latLng(position.latitude, position.longitude)]
    })
    if (places.length === 0) return false
    const padding = { padding: [MARGIN_PX, MARGIN_PX] as [number, number], maxZoom: ZOOM_NEAR, animate: false }
    this.#quietly(() => this.#map.fitBounds(latLngBounds(places), padding))
    return true
  }

  show(devices: readonly DeviceListing[], chosen: DeviceListing | undefined): void {
    this.#marks.show(devices, chosen?.device)
    if (this.#chosen?.device !== chosen?.device) {
      this.#chosen?.marker.remove()
      this.#chosen = undefined
    }
    if (chosen !== undefined) this.#choose(chosen)
    this.#tellSight(0)
  }

  /** Devices have moved. */
  moved(): void {
    this.#marks.changed()
    if (this.#chosen !== undefined) {
      const { device, marker } = this.#chosen
      const position = positionOf(device)
      if (position !== undefined) marker.setLatLng([position.latitude, position.longitude])
    }
    this.#tellSight(SIGHT_MS)
  }

  /** Brings a device into sight that is not. */
  reveal(device: string): void {
    const position = positionOf(device)
    if (position === undefined) return
    const place = latLng(position.latitude, position.longitude)
    if (!this.#map.getBounds().contains(place)) this.#map.setView(place, undefined, { animate: false })
  }

  drawTrail(points: readonly TrailPoint[]): void {
    const color = getComputedStyle(this.#map.getContainer()).getPropertyValue('--accent')
    this.#trail.setStyle({ color })
    this.#trail.setLatLngs(points.map(({ latitude, longitude }) => latLng(latitude, longitude)))
  }

  #choose({ device, state }: DeviceListing): void {
    const position = positionOf(device)
    if (position === undefined) return
    const name = `${device}: ${lookOf(state).label}`
    if (this.#chosen === undefined) {
      const html = document.createElement('span')
      html.setAttribute('role', 'img')
      html.textContent = device
      const icon = divIcon({ className: 'chosen-mark', html, iconSize: [0, 0] })
      const made = marker([position.latitude, position.longitude], { icon, interactive: false, keyboard: false })
      this.#chosen = { device, marker: made.addTo(this.#map) }
    }
    this.#chosen.marker.getElement()?.firstElementChild?.setAttribute('aria-label', name)
  }

  /** Not as if somebody had moved it. */
  #quietly(move: () => void): void {
    this.#isOurs = true
    move()
    this.#isOurs = false
  }

  #tellSight(afterMs: number): void {
    if (this.#timer !== undefined && afterMs > 0) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      requestAnimationFrame(() => this.#events.inSight(this.#marks.inSight))
    }, afterMs)
  }
}

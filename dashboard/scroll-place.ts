/**
 * Owns where each view is scrolled to: a view that is opened begins on top, and one that "back" leads to is where it was left. The
 * browser would do so before the view is drawn, and so high.
 *
 * Bound: `PLACES_MAX` views; of those before them the place is forgotten.
 */

import { useLayoutEffect } from 'preact/hooks'

const PLACES_MAX = 50

history.scrollRestoration = 'manual'

const places = new Map<string, number>()
let shown = ''
let isByLink = false

addEventListener('click', ({ target }) => {
  isByLink = target instanceof Element && target.closest('a') !== null
})
addEventListener('hashchange', () => {
  // Once the view is drawn.
  setTimeout(() => {
    isByLink = false
  })
})
addEventListener(
  'scroll',
  () => {
    places.delete(shown)
    places.set(shown, scrollY)
    const [oldest] = places.keys()
    if (places.size > PLACES_MAX && oldest !== undefined) places.delete(oldest)
  },
  { passive: true },
)

/** Of the view with this name, once it is drawn. */
export function useScrollPlace(name: string): void {
  useLayoutEffect(() => {
    const place = isByLink ? 0 : (places.get(name) ?? 0)
    shown = name
    scrollTo(0, place)
  }, [name])
}

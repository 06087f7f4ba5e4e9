/** Owns where the map's tiles come from: the gateway says it in the page (`TELLTALE_MAP_TILES`); none by default. */

const contentOf = (name: string) => document.querySelector<HTMLMetaElement>(`meta[name="${name}"]`)?.content

/** A template: `https://tiles.example/{z}/{x}/{y}.png`. */
export const TILES = contentOf('map-tiles')
/** Whom to thank for them; plain text, may be empty. */
export const ATTRIBUTION = contentOf('map-attribution')

/** Owns whether the page is as narrow as a phone, as page.css has it. */

import { signal } from '@preact/signals'

const NARROW = matchMedia('(max-width: 760px)')

export const isNarrow = signal(NARROW.matches)

NARROW.addEventListener('change', () => {
  isNarrow.value = NARROW.matches
})

/**
 * Owns what is read of a view's layout, in the page: where its blocks stand beside one another, and what is wrong with any layout. Evaluated
 * as it is, so it needs nothing.
 *
 * Of a block there are where it begins, how wide it is, and how far it stands below what is above it: all of that a stylesheet says. What
 * a text needs, which is another on each machine, is in none of it: no height but of controls and rows, no width of what is as wide as its text.
 */

export function measure(isPhone) {
  const BLOCKS =
    'header, nav, main, search, section, article, aside, footer, form, table, h1, h2, .card, .note, ol, ul, dl, figure, canvas, input, select, textarea, button, .chip, .device-row, .device-row > a'
  const CONTROLS = 'a[href], button, input, select, textarea, summary, [role=button], [tabindex="0"]'
  const FIXED_HEIGHT = 'input, select, button, .chip, .device-row'
  /** Of things that repeat these are enough. */
  const SIBLINGS_MAX = 3
  const TAP_PX = 44
  const INLINE_TAP_PX = 24
  /** What a library draws is its own; its frame is ours. */
  const FOREIGN = '.leaflet-container *, .u-wrap *, .uplot *'

  const boxOf = (element) => element.getBoundingClientRect()
  const isShown = (element) => {
    const { width, height } = boxOf(element)
    return width > 2 && height > 2 && element.checkVisibility({ visibilityProperty: true })
  }
  const nameOf = (element) => {
    const [first] = element.classList
    return element.tagName.toLowerCase() + (first === undefined ? '' : `.${first}`)
  }
  const said = (element) =>
    `${nameOf(element)} "${(element.getAttribute('aria-label') ?? element.textContent).trim().slice(0, 40)}"`
  const all = (selector) =>
    [...document.querySelectorAll(selector)].filter((each) => !each.matches(FOREIGN) && isShown(each))
  const isFixed = (element) => {
    for (let each = element; each !== null; each = each.parentElement)
      if (['fixed', 'sticky'].includes(getComputedStyle(each).position)) return true
    return false
  }
  /** Within what scrolls, or cuts with an ellipsis. */
  /** Within what scrolls by itself, or is cut, which is told of that. */
  const isScrolled = (element) => {
    for (let each = element.parentElement; each !== null && each !== document.body; each = each.parentElement)
      if (getComputedStyle(each).overflowX !== 'visible') return true
    return false
  }
  const isBeside = (one, other) => !one.contains(other) && !other.contains(one)
  const isInline = (element) => getComputedStyle(element).display === 'inline'
  /** As wide as its text: that is no layout. */
  const isByText = (element) => {
    const { display } = getComputedStyle(element.parentElement)
    return (
      isInline(element) ||
      (display.includes('flex') &&
        getComputedStyle(element).flexGrow === '0' &&
        !getComputedStyle(element.parentElement).flexDirection.startsWith('column'))
    )
  }

  const blocks = all(BLOCKS).filter((element) => {
    if (element.matches('.skip')) return false
    let before = 0
    for (let each = element.previousElementSibling; each !== null; each = each.previousElementSibling)
      if (nameOf(each) === nameOf(element)) before++
    return before < SIBLINGS_MAX && !element.closest('li:nth-child(n + 4), tr:nth-child(n + 4)')
  })

  /** From the nearest block above, or the top of what it is in. */
  const gapAbove = (element) => {
    const box = boxOf(element)
    let edge = 0
    for (const other of blocks) {
      if (other === element || isFixed(other)) continue
      const its = boxOf(other)
      if (other.contains(element)) edge = Math.max(edge, its.top)
      else if (isBeside(other, element) && its.bottom <= box.top + 1 && its.left < box.right && box.left < its.right)
        edge = Math.max(edge, its.bottom)
    }
    return box.top - edge
  }

  scrollTo(0, 0)
  const layout = blocks.map((element) => {
    const box = boxOf(element)
    return {
      block: nameOf(element),
      ...(!isByText(element) && { left: Math.round(box.left), width: Math.round(box.width) }),
      ...(!isFixed(element) && { below: Math.round(gapAbove(element)) }),
      ...(element.matches(FIXED_HEIGHT) && { height: Math.round(box.height) }),
    }
  })

  const wrong = []
  const { scrollWidth, clientWidth } = document.documentElement
  if (scrollWidth > clientWidth) wrong.push(`the page is ${scrollWidth} px wide, on a screen of ${clientWidth}`)
  for (const element of all('body *')) {
    const { left, right } = boxOf(element)
    if ((right > innerWidth + 1 || left < -1) && !isScrolled(element))
      wrong.push(
        `${said(element)} is from ${Math.round(left)} to ${Math.round(right)}, on a screen of ${innerWidth} px`,
      )
    const style = getComputedStyle(element)
    const isClipped =
      style.overflowX === 'hidden' || style.overflowX === 'clip' || /strict|content|paint/.test(style.contain)
    if (!isClipped || style.clipPath !== 'none' || element.matches('canvas, svg, svg *, .leaflet-container')) continue
    if (element.scrollWidth > element.clientWidth + 1 && style.textOverflow !== 'ellipsis')
      wrong.push(`${said(element)} is cut to ${element.clientWidth} of ${element.scrollWidth} px`)
    if (element.scrollHeight > element.clientHeight + 3 && style.webkitLineClamp === 'none')
      wrong.push(`${said(element)} is cut to ${element.clientHeight} of ${element.scrollHeight} px in height`)
  }

  /** What is touched of a box to tick is its label, too. */
  const controls = all(CONTROLS).map((element) =>
    element.matches('input') ? (element.closest('label') ?? element) : element,
  )
  for (const [index, one] of controls.entries()) {
    const box = boxOf(one)
    for (const other of controls.slice(index + 1)) {
      if (!isBeside(one, other) || isFixed(one) !== isFixed(other)) continue
      const its = boxOf(other)
      const x = Math.min(box.right, its.right) - Math.max(box.left, its.left)
      const y = Math.min(box.bottom, its.bottom) - Math.max(box.top, its.top)
      // Lines of text with links in them may touch.
      const touch = isInline(one) || isInline(other) ? 8 : 1
      if (x > 1 && y > touch)
        wrong.push(`${said(one)} and ${said(other)} overlap by ${Math.round(x)} x ${Math.round(y)} px`)
    }
    const least = isInline(one) ? INLINE_TAP_PX : TAP_PX
    if (isPhone && box.height < least - 0.5)
      wrong.push(`${said(one)} is ${Math.round(box.height)} px high: a thumb needs ${least}`)
  }

  // What is fixed covers nothing for good: the last control can be scrolled out from behind it.
  scrollTo(0, document.documentElement.scrollHeight)
  const last = controls.filter((each) => !isFixed(each)).at(-1)
  if (last !== undefined && document.contains(last)) {
    const { left, top, width, height } = boxOf(last)
    const hit = document.elementFromPoint(left + width / 2, top + height / 2)
    if (hit !== null && isFixed(hit) && !isFixed(last)) wrong.push(`${said(last)} stays behind ${said(hit)}`)
  }
  scrollTo(0, 0)
  return { layout, wrong: [...new Set(wrong)] }
}

/** Owns how an element is made. Always true: what it is given as text stays text. */

export type Child = Node | string | number | false | undefined

export function element<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Readonly<Record<string, string | number | undefined>>,
  ...children: readonly Child[]
): HTMLElementTagNameMap[Name] {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined) made.setAttribute(key, String(value))
  for (const child of children) {
    if (child !== false && child !== undefined) made.append(typeof child === 'number' ? String(child) : child)
  }
  return made
}

/** A part of the report with its heading. */
export function card(id: string, heading: string, ...children: readonly Child[]): HTMLElement {
  const title = element('h2', { id: `${id}-heading` }, heading)
  return element('section', { class: 'card', id, 'aria-labelledby': `${id}-heading` }, title, ...children)
}

export interface Table {
  readonly caption: string
  readonly columns: readonly string[]
  /** The first cell of a row names it. */
  readonly rows: readonly (readonly Child[])[]
  /** Columns of numbers, by their index. */
  readonly numbers?: readonly number[]
}

/** On a phone, each row is a block, and each cell has its column's name before it. */
export function table({ caption, columns, rows, numbers = [] }: Table): HTMLElement {
  const classOf = (index: number) => (numbers.includes(index) ? 'number' : undefined)
  const head = columns.map((name, index) => element('th', { scope: 'col', class: classOf(index) }, name))
  const body = rows.map((cells) =>
    element(
      'tr',
      {},
      ...cells.map((cell, index) =>
        index === 0
          ? element('th', { scope: 'row' }, cell)
          : element('td', { class: classOf(index), 'data-column': columns[index] }, cell),
      ),
    ),
  )
  return element(
    'table',
    {},
    element('caption', { class: 'sr-only' }, caption),
    element('thead', {}, element('tr', {}, ...head)),
    element('tbody', {}, ...body),
  )
}

/** The word says it, too; the shape of the dot is another for each kind. */
export const state = (kind: 'good' | 'bad' | 'idle', word: string): HTMLElement =>
  element('span', { class: `state ${kind}` }, element('span', { class: 'dot', 'aria-hidden': 'true' }), word)

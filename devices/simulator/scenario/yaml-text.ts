/**
 * Owns a YAML text as plain values, and where each of them stands: so that whatever is wrong is told with line and column.
 *
 * Always true: aliases are refused, for a small text can become a large one by them, and so are keys that are there twice; what has been
 * read has no other keys than the text. Bounds: `YAML_DEPTH_MAX` levels; how long it may be is its reader's.
 */

import {
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  visit,
  type YAMLError,
} from 'yaml'
import { messageOf } from '../../../platform/errors.ts'

/** Values are nested deeper: refused. */
const YAML_DEPTH_MAX = 50

export type Path = readonly (string | number)[]

export interface Place {
  readonly line: number
  readonly column: number
}

/** Something that is wrong with the text itself. */
export interface YamlFault extends Place {
  readonly what: string
}

export class YamlText {
  readonly #lines = new LineCounter()
  readonly #root: Node | null
  /** Empty if it can be read. */
  readonly faults: readonly YamlFault[]
  /** What the text says; undefined if it cannot be read, null if it says nothing. */
  readonly value: unknown

  constructor(text: string) {
    try {
      const document = parseDocument(text, {
        lineCounter: this.#lines,
        prettyErrors: false,
        schema: 'core',
        logLevel: 'error',
      })
      this.#root = document.contents as Node | null
      const wrong = [...document.errors, ...document.warnings]
      this.faults = wrong.length > 0 ? this.#faultsOf(wrong, text) : this.#unwanted(this.#root)
      this.value = this.faults.length > 0 ? undefined : document.toJS({ maxAliasCount: 0 })
    } catch (error) {
      // What is nested some thousands deep: the parser calls itself.
      this.#root = null
      this.value = undefined
      this.faults = [{ line: 1, column: 1, what: isTooDeep(error) ? TOO_DEEP : `is not YAML: ${messageOf(error)}` }]
    }
  }

  /** Where a value stands; where nothing stands, what it would be in. */
  placeOf(path: Path): Place {
    return this.#at(offsetOf(this.#nodeAt(path)))
  }

  /** Where a key of the map at this path stands. */
  placeOfKey(path: Path, key: string): Place {
    const node = this.#nodeAt(path)
    return this.#at(offsetOf((pairOf(node, key)?.key as Node | undefined) ?? node))
  }

  /** As far as there are nodes; of a key without a value the key itself. */
  #nodeAt(path: Path): Node | null {
    let node = this.#root
    for (const step of path) {
      const pair = pairOf(node, String(step))
      const item = isSeq(node) ? (node.items[Number(step)] as Node | null | undefined) : undefined
      const inner = pair === undefined ? item : ((pair.value as Node | null) ?? (pair.key as Node))
      if (inner === undefined || inner === null) break
      node = inner
    }
    return node
  }

  #at(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }

  /** Of what is no YAML the first fault: what follows it is mostly its consequence. */
  #faultsOf(wrong: readonly YAMLError[], text: string): YamlFault[] {
    if (wrong.some(isTooDeep)) return [{ line: 1, column: 1, what: TOO_DEEP }]
    const first = wrong.find(({ code }) => code !== 'DUPLICATE_KEY')
    return wrong
      .filter((error) => error.code === 'DUPLICATE_KEY' || error === first)
      .map((each) => this.#fault(each, text))
  }

  #fault({ code, message, pos }: YAMLError, text: string): YamlFault {
    const place = this.#at(pos[0])
    if (code === 'DUPLICATE_KEY') {
      return { ...place, what: `the key ${/^\S[^:\s]*/.exec(text.slice(pos[0]))?.[0] ?? ''} is there twice` }
    }
    if (code === 'MULTIPLE_DOCS') return { ...place, what: 'a second document begins here, and a scenario is one' }
    return { ...place, what: `is not YAML: ${message}${hintOf(text, pos[0])}` }
  }

  /** Aliases, and what is nested too deep. */
  #unwanted(root: Node | null): YamlFault[] {
    const faults: YamlFault[] = []
    if (root === null) return faults
    visit(root, (_, node, ways) => {
      if (isAlias(node)) faults.push({ ...this.#at(offsetOf(node)), what: ALIAS })
      const depth = ways.filter(isCollection).length
      if (depth <= YAML_DEPTH_MAX) return undefined
      faults.push({ ...this.#at(offsetOf(node as Node)), what: TOO_DEEP })
      return visit.BREAK
    })
    return faults
  }
}

const ALIAS = 'is an alias, and none is read here: write it out, or in quotes if it is text that begins with *'
const TOO_DEEP = `is nested deeper than ${YAML_DEPTH_MAX} levels`
const isTooDeep = (error: unknown) => messageOf(error).includes('Maximum call stack')

const offsetOf = (node: Node | null): number => node?.range?.[0] ?? 0
const keyText = (key: unknown): string => (isScalar(key) ? String(key.value) : String(key))
const pairOf = (node: Node | null, key: string) =>
  isMap(node) ? node.items.find((pair) => keyText(pair.key) === key) : undefined

/** The usual slips: `devices: *` is an alias, and `topic: {device}/x` begins a map. */
function hintOf(text: string, offset: number): string {
  const start = text.lastIndexOf('\n', offset - 1) + 1
  const end = text.indexOf('\n', offset)
  const line = text.slice(start, end < 0 ? text.length : end)
  if (/[:[,{-] *\*/.test(line)) return '; text that begins with * must stand in quotes'
  if (/[:[,{-] *[>|]/.test(line)) return '; text that begins with > or | must stand in quotes'
  return /\{device\}/.test(line)
    ? '; text with { in it must stand in quotes where it begins so, or is within braces'
    : ''
}

/**
 * Owns what can be told of LMDB's trees before LMDB walks them: it has no checksums, believes every offset and page number
 * it reads, and a flipped bit in one ends the process. Layout: lmdb 3.5's mdb.c, data version 2, little-endian.
 *
 *   page    0 number u64, 8 transaction u64, 18 flags u16, 20 lower u16, 22 upper u16; 24 a u16 for each node: where it is
 *   node    0 low u16, 2 high u16, 4 flags u16, 6 key bytes u16, 8 the key, then the data (an overflow page's number if
 *           large, a tree if named); in a branch page, low, high and flags are the child's page number
 *   tree    4 flags u16, 6 depth u16, 8 branch pages u64, 16 leaf pages u64, 24 overflow pages u64, 32 entries u64, 40 root u64
 *
 * Bound: `LOG_CHECK_MS`. Level by level, so what was not looked at by then are leaves.
 */

import { readSync } from 'node:fs'

/** How long a start looks for damaged pages; what was not looked at by then is found when it is read. */
const LOG_CHECK_MS = 1_000

const HEADER_BYTES = 24
const NODE_BYTES = 8
const TREE_BYTES = 48
const OVERFLOW_BYTES = 24
const BRANCH = 1
const LEAF = 2
const OVERFLOW = 4
const BIG_DATA = 1
const SUB_TREE = 2
const NO_PAGE = 0xffffffffffffffffn

/** Flag of a tree whose keys are numbers in the machine's order: that of free pages. */
export const INTEGER_KEYS = 8

export interface Trees {
  readonly file: number
  readonly pageSize: number
  readonly lastPage: number
  /** The newest committed: no page of the trees is of a later one. */
  readonly transaction: bigint
  /** The two that the meta page holds: of free pages, whose keys are in the machine's order, and of databases. */
  readonly free: Buffer
  readonly main: Buffer
}

/** What is wrong, to follow on "the file"; undefined if nothing is, as far as was looked. */
export function whatIsWrongInTrees(trees: Trees): string | undefined {
  return new TreeCheck(trees).run()
}

interface Tree {
  readonly depth: number
  /** Pages of the level that is looked at next. */
  level: number[]
  readonly left: { branch: number; leaf: number; overflow: number; entries: number }
  readonly isSorted: boolean
}

class TreeCheck {
  readonly #trees: Trees
  readonly #page: Buffer
  readonly #until = performance.now() + LOG_CHECK_MS
  readonly #queue: Tree[] = []
  #looks = 0

  constructor(trees: Trees) {
    this.#trees = trees
    this.#page = Buffer.alloc(trees.pageSize)
  }

  run(): string | undefined {
    const { free, main } = this.#trees
    const wrong = this.#add(free, false) ?? this.#add(main, true)
    if (wrong !== undefined) return wrong
    for (const tree of this.#queue) {
      for (let level = 1; level <= tree.depth; level++) {
        const pages = tree.level
        tree.level = []
        for (const page of pages) {
          if (this.#looks++ % 64 === 0 && performance.now() > this.#until) return undefined
          const wrong = this.#checkPage(page, tree, level === tree.depth)
          if (wrong !== undefined) return `has a damaged page, number ${page} (${wrong})`
        }
      }
      const { branch, leaf, overflow, entries } = tree.left
      if (branch !== 0 || leaf !== 0 || overflow !== 0 || entries !== 0) return 'has a tree that is not whole'
    }
    return undefined
  }

  #add(tree: Buffer, isSorted: boolean): string | undefined {
    if (tree.readUInt16LE(4) !== (isSorted ? 0 : INTEGER_KEYS)) return 'has a damaged tree (its flags)'
    const depth = tree.readUInt16LE(6)
    const root = tree.readBigUInt64LE(40)
    const counts = [8, 16, 24, 32].map((at) => Number(tree.readBigUInt64LE(at)))
    const [branch = 0, leaf = 0, overflow = 0, entries = 0] = counts
    if ((root === NO_PAGE) !== (depth === 0)) return 'has a damaged tree'
    const level = root === NO_PAGE ? [] : [Number(root)]
    if (!level.every((page) => this.#isPage(page))) return `has a damaged tree, whose root is page ${root}`
    this.#queue.push({ depth, level, left: { branch, leaf, overflow, entries }, isSorted })
    return undefined
  }

  #isPage(page: number): boolean {
    return page >= 2 && page <= this.#trees.lastPage
  }

  #checkPage(number: number, tree: Tree, isLeaf: boolean): string | undefined {
    const page = this.#page
    const { file, pageSize } = this.#trees
    if (readSync(file, page, 0, pageSize, number * pageSize) !== pageSize) return 'past the end'
    if (page.readBigUInt64LE(0) !== BigInt(number)) return 'its number'
    if (page.readBigUInt64LE(8) > this.#trees.transaction) return 'its transaction'
    if (page.readUInt16LE(18) !== (isLeaf ? LEAF : BRANCH)) return 'its kind'
    const lower = page.readUInt16LE(20)
    const upper = page.readUInt16LE(22)
    const nodes = lower >> 1
    if (lower % 2 !== 0 || lower > upper || upper > pageSize - HEADER_BYTES || nodes === 0) return 'its bounds'
    if (isLeaf) {
      tree.left.leaf--
      tree.left.entries -= nodes
    } else tree.left.branch--
    let previous: Buffer | undefined
    for (let index = 0; index < nodes; index++) {
      const at = HEADER_BYTES + page.readUInt16LE(HEADER_BYTES + 2 * index)
      if (at < HEADER_BYTES + upper || at + NODE_BYTES > pageSize) return `node ${index}`
      const dataAt = at + NODE_BYTES + page.readUInt16LE(at + 6)
      if (dataAt > pageSize) return `the key of node ${index}`
      const key = page.subarray(at + NODE_BYTES, dataAt)
      // The first key of a branch page is not used.
      if (tree.isSorted && (isLeaf || index > 0)) {
        if (previous !== undefined && Buffer.compare(previous, key) >= 0) return `the order of node ${index}`
        previous = key
      }
      const wrong = isLeaf ? this.#checkData(at, dataAt, tree) : this.#checkChild(at, tree)
      if (wrong !== undefined) return `${wrong} of node ${index}`
    }
    return undefined
  }

  #checkChild(at: number, tree: Tree): string | undefined {
    const child = this.#page.readUInt32LE(at) + this.#page.readUInt16LE(at + 4) * 2 ** 32
    if (!this.#isPage(child)) return 'the child'
    tree.level.push(child)
    return undefined
  }

  #checkData(at: number, dataAt: number, tree: Tree): string | undefined {
    const page = this.#page
    const { pageSize } = this.#trees
    const length = page.readUInt32LE(at)
    const flags = page.readUInt16LE(at + 4)
    if (flags !== 0 && flags !== BIG_DATA && flags !== SUB_TREE) return 'the flags'
    const end = dataAt + (flags === BIG_DATA ? OVERFLOW_BYTES : length)
    if (end > pageSize) return 'the data'
    if (flags === SUB_TREE) return length === TREE_BYTES ? this.#add(page.subarray(dataAt, end), true) : 'the tree'
    return flags === BIG_DATA ? this.#checkOverflow(dataAt, length, tree) : undefined
  }

  #checkOverflow(dataAt: number, length: number, tree: Tree): string | undefined {
    const { file, pageSize } = this.#trees
    const number = Number(this.#page.readBigUInt64LE(dataAt))
    const pages = Number(this.#page.readBigUInt64LE(dataAt + 16))
    if (pages !== Math.ceil((HEADER_BYTES + length) / pageSize)) return 'the length'
    if (!this.#isPage(number) || !this.#isPage(number + pages - 1)) return 'the overflow page'
    const header = Buffer.alloc(HEADER_BYTES)
    this.#looks++
    readSync(file, header, 0, HEADER_BYTES, number * pageSize)
    const isRight =
      header.readBigUInt64LE(0) === BigInt(number) &&
      header.readBigUInt64LE(8) <= this.#trees.transaction &&
      header.readUInt16LE(18) === OVERFLOW &&
      header.readUInt32LE(20) === pages
    tree.left.overflow -= pages
    return isRight ? undefined : 'the overflow page'
  }
}

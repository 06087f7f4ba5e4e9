import assert from 'node:assert/strict'
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { transformSync } from 'esbuild'
import { sourceOf } from '../planted/changed-tree.ts'
import { scratchDirectory } from '../scratch.ts'
import { choose, nameOf } from './choice.ts'
import { DATA_PATH } from './data-path.ts'
import { mutated, OPERATORS, sitesOf } from './sites.ts'
import { type Result, Results } from './trials.ts'

const sites = sitesOf(DATA_PATH)
const all = [...sites.values()].flat()
const PARSED = 400

const texts = new Map(DATA_PATH.map((file) => [file, sourceOf(file)]))
const textOf = (file: string) => texts.get(file) ?? ''
const linesOf = (file: string) => textOf(file).split('\n')

test('every operator finds sites, and each site is where it says', () => {
  assert(all.length > 3_000, `${all.length} sites`)
  for (const operator of OPERATORS) assert(all.filter((site) => site.operator === operator).length > 100, operator)
  for (const { file, line, at, before, after } of all) {
    assert.equal(textOf(file).slice(at, at + before.length), before)
    assert.notEqual(before, after)
    assert(linesOf(file)[line - 1]?.includes(before.split('\n')[0] ?? ''), `${file}:${line}`)
  }
})

test('comments, imports, types, errors, log lines and metrics are no sites', () => {
  for (const { file, line } of all) {
    const text = linesOf(file)[line - 1] ?? ''
    assert.doesNotMatch(text, /^\s*(\/\/|\/\*|\*|import |interface |export interface )/, `${file}:${line}`)
    assert.doesNotMatch(text, /^\s*(throw new |logger\.|metrics\.|assert\()/, `${file}:${line}`)
  }
})

test('mutants are distinct, and parse', () => {
  assert.equal(new Set(all.map(nameOf)).size, all.length)
  const chosen = choose(sites, PARSED, 1)
  const made = chosen.map((site) => mutated(textOf(site.file), site))
  assert.equal(new Set(made.map((text, index) => `${chosen[index]?.file}\n${text}`)).size, PARSED)
  for (const text of made) transformSync(text, { loader: 'ts' })
})

test('a seed has the same mutants each time, another seed others, and files take turns', () => {
  const names = (seed: number, count = 100) => choose(sites, count, seed).map(nameOf)
  assert.deepEqual(names(1), choose(sitesOf(DATA_PATH), 100, 1).map(nameOf))
  assert.deepEqual(names(1, 40), names(1).slice(0, 40))
  const others = new Set(names(2))
  assert(names(1).filter((name) => others.has(name)).length < 20)
  const files = choose(sites, 60, 3).map(({ file }) => file)
  assert.equal(new Set(files).size, 60)
})

test('results outlive a stop in the middle of a line', (t) => {
  const file = join(scratchDirectory(t), 'results.jsonl')
  const [first, second] = choose(sites, 2, 1)
  assert(first && second)
  const result = (site: typeof first): Result => {
    const { at: _, ...shown } = site
    return { ...shown, name: nameOf(site), seconds: 30, isKilled: true, by: 'lost at ingest', sentence: 'one' }
  }
  new Results(file).add(result(first))
  appendFileSync(file, '{"name":"cut o')
  const again = new Results(file)
  assert.deepEqual(again.of(first, 30), result(first))
  assert.equal(again.of(first, 60), undefined, 'of a run of another length')
  assert.equal(again.of(second, 30), undefined)
  again.add(result(second))
  const read = new Results(file)
  assert.deepEqual([read.of(first, 30), read.of(second, 30)], [result(first), result(second)])
})

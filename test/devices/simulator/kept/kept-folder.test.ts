/** A run is kept in a folder of its own, and what has not begun leaves nothing. */

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { KeptFolder } from '../../../../devices/simulator/kept/kept-folder.ts'
import { SimulatorError } from '../../../../devices/simulator/simulator-error.ts'
import { scratchDirectory } from '../../../scratch.ts'
import { simulate } from '../simulate.ts'

const isWrong = (why: RegExp) => (error: unknown) =>
  error instanceof SimulatorError && error.code === 'bad-option' && why.test(error.message)

test('where something else is, or nothing can be, no run is kept: one sentence', (t) => {
  const scratch = scratchDirectory(t)
  const [file, docs, run] = [join(scratch, 'README.md'), join(scratch, 'docs'), join(scratch, 'run')]
  for (const folder of [docs, run]) mkdirSync(folder)
  for (const path of [file, join(docs, 'contract.md'), join(run, 'run.json')]) writeFileSync(path, 'mine')
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['', /--out names no folder/],
    [file, /README\.md is no folder/],
    [join(file, 'below'), /cannot be made/],
    ['/proc/xx/y', /cannot be made/],
    [docs, /has other files, such as contract\.md/],
    [run, /there is a run in/],
  ]
  for (const [path, why] of wrong) assert.throws(() => KeptFolder.make(path), isWrong(why), path)
  assert.deepEqual(readdirSync(scratch).toSorted(), ['README.md', 'docs', 'run'])
})

test('of a run that has not begun nothing is left, of one that has all is', (t) => {
  const scratch = scratchDirectory(t)
  const begin = (path: string, ...names: string[]) => {
    const folder = KeptFolder.make(join(scratch, path))
    for (const name of names) writeFileSync(join(folder.path, name), '')
    folder.removeUnbegun()
  }
  begin('a/b', 'live.tsv', 'messages-0.tsv')
  assert.equal(existsSync(join(scratch, 'a')), false)
  begin('c', 'live.tsv', 'messages-0.tsv', 'run.json')
  assert.deepEqual(readdirSync(join(scratch, 'c')).length, 3)
})

test('a start that fails leaves no folder: against nobody, and without a token', async (t) => {
  const folder = join(scratchDirectory(t), 'run')
  const { status } = await simulate(['--devices', '1', '--out', folder])
  assert.deepEqual([status, existsSync(folder)], [1, false])
  const bad = await simulate(['--devices', '1', '--out', folder, '--credentials', join(folder, 'none')])
  assert.deepEqual([bad.status, existsSync(folder)], [2, false])
})

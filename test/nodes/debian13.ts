/**
 * Owns a second Debian, of GLIBC 2.41, in a folder: there uWebSockets.js loads on Node 22 and 24 too. Made by `debootstrap`;
 * entered in a mount namespace of its own, with the tree and a Node bound into it so that nothing there can be written.
 */

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { MissingServer } from '../servers/server.ts'
import { FOLDER, INSTALL, ROOT } from './nodes.ts'

const DEBIAN = join(FOLDER, 'debian13')
/** Made last: without it the folder is half done. */
const MADE = join(DEBIAN, 'made')
/** Not in the smallest Debian: needed by Node 26, and by the tests. */
const EXTRA = 'libatomic1,openssl'

export function installDebian(): void {
  if (existsSync(MADE)) return
  rmSync(DEBIAN, { recursive: true, force: true })
  execFileSync('debootstrap', ['--variant=minbase', `--include=${EXTRA}`, 'trixie', DEBIAN], { stdio: 'inherit' })
  for (const folder of [join(DEBIAN, 'app'), join(DEBIAN, 'node'), MADE]) mkdirSync(folder)
}

const ENTER = `set -e
mount --make-rprivate /
mount --bind "$1" "$3/app" && mount -o remount,ro,bind "$3/app"
mount --bind "$2" "$3/node" && mount -o remount,ro,bind "$3/node"
mount -t proc proc "$3/proc"
mount --bind /dev "$3/dev"
root=$3
shift 3
exec chroot "$root" /usr/bin/env -C /app PATH="/node:$PATH" "$@"
`

/** Runs a command at the root of the tree with the Node of this folder; its exit status. Throws `MissingServer` if it is not there. */
export function runInDebian13(bin: string, command: readonly string[], environment: NodeJS.ProcessEnv): number {
  if (!existsSync(MADE)) throw new MissingServer(`needs ${DEBIAN} (${INSTALL}, as root)`)
  const args = ['--mount', 'sh', '-c', ENTER, 'sh', ROOT, bin, DEBIAN, ...command]
  const { NODE_EXTRA_CA_CERTS: _, ...env } = environment // A file of this Debian.
  return spawnSync('unshare', args, { stdio: 'inherit', env }).status ?? 1
}

/**
 * Owns how the dashboard is served: one self-contained page at `/`, which build.js made of `dashboard/`. The page holds no data and needs
 * no token; its script takes the token from the link's fragment, which a browser sends to no server.
 *
 * Always true: a browser that has the page asks whether it is still that one, and is told so in a few bytes (RFC 9110 section 13.1.2).
 * The script and the styles are allowed by their hashes, and the page may talk to this gateway only (CSP Level 3); for the tiles of its map
 * it may ask the origin that the settings name, if they name one.
 */

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { PACKAGE_DIR } from '../platform/package.ts'
import type { Reply } from './reply.ts'
import type { Request } from './request.ts'
import type { Headers } from './server/server.ts'

export interface Dashboard {
  readonly html: string
  /** A third of it, for a phone in a yard. */
  readonly gzipped: Buffer
  readonly etag: string
  readonly headers: Headers
}

export interface MapTiles {
  /** `https://tiles.example/{z}/{x}/{y}.png`. */
  readonly template: string
  /** Plain text. */
  readonly attribution?: string
}

export function loadDashboard(tiles?: MapTiles): Dashboard {
  const html = withTiles(readFileSync(join(PACKAGE_DIR, 'dist/dashboard/index.html'), 'utf8'), tiles)
  const policy = [
    "default-src 'none'",
    `script-src ${hashes(html, 'script')}`,
    `style-src ${hashes(html, 'style')}`,
    "connect-src 'self'",
    ['img-src data:', ...(tiles ? [new URL(tiles.template).origin] : [])].join(' '),
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ]
  const etag = `"${createHash('sha256').update(html).digest('base64url')}"`
  return {
    html,
    gzipped: gzipSync(html, { level: 9 }),
    etag,
    headers: {
      ETag: etag,
      'Cache-Control': 'no-cache',
      Vary: 'Accept-Encoding',
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Security-Policy': policy.join('; '),
      'Referrer-Policy': 'no-referrer',
    },
  }
}

export function answerDashboard(reply: Reply, { acceptEncoding, ifNoneMatch }: Request, dashboard: Dashboard): void {
  const { html, gzipped, etag, headers } = dashboard
  if (ifNoneMatch.includes(etag)) reply.send('304 Not Modified', headers, '')
  else if (GZIP.test(acceptEncoding)) reply.send('200 OK', { ...headers, 'Content-Encoding': 'gzip' }, gzipped)
  else reply.send('200 OK', headers, html)
}

/** One that is not refused by `q=0` (RFC 9110 section 12.5.3). */
const GZIP = /\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/i

/** The page's script reads it there (dashboard/map/tiles.ts). */
function withTiles(html: string, tiles: MapTiles | undefined): string {
  if (tiles === undefined) return html
  const metas = [meta('map-tiles', tiles.template), meta('map-attribution', tiles.attribution ?? '')]
  return html.replace('<title>', () => `${metas.join('')}<title>`)
}

const meta = (name: string, content: string) => `<meta name="${name}" content="${escaped(content)}">\n`

/** For an attribute in double quotes. */
const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** Of the text of each element named, as a CSP source list has them. */
function hashes(html: string, element: 'script' | 'style'): string {
  const sources: string[] = []
  for (const [, text = ''] of html.matchAll(new RegExp(`<${element}>(.*?)</${element}>`, 'gs'))) {
    sources.push(`'sha256-${createHash('sha256').update(text).digest('base64')}'`)
  }
  return sources.join(' ')
}

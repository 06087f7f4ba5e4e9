/**
 * Owns how the dashboard is served: one self-contained page at `/`, which build.js made of `dashboard/`. The page holds no data and needs
 * no token; its script takes the token from the link's fragment, which a browser sends to no server.
 *
 * The script and the styles are allowed by their hashes, and the page may talk to this gateway only (CSP Level 3).
 */

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PACKAGE_DIR } from '../platform/package.ts'
import type { Headers } from './server/server.ts'

export interface Dashboard {
  readonly html: string
  readonly headers: Headers
}

export function loadDashboard(): Dashboard {
  const html = readFileSync(join(PACKAGE_DIR, 'dist/dashboard/index.html'), 'utf8')
  const policy = [
    "default-src 'none'",
    `script-src ${hashes(html, 'script')}`,
    `style-src ${hashes(html, 'style')}`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ]
  return {
    html,
    headers: {
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Security-Policy': policy.join('; '),
      'Referrer-Policy': 'no-referrer',
    },
  }
}

/** Of the text of each element named, as a CSP source list has them. */
function hashes(html: string, element: 'script' | 'style'): string {
  const sources: string[] = []
  for (const [, text = ''] of html.matchAll(new RegExp(`<${element}>(.*?)</${element}>`, 'gs'))) {
    sources.push(`'sha256-${createHash('sha256').update(text).digest('base64')}'`)
  }
  return sources.join(' ')
}

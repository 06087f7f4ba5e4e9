/**
 * An HTTP server that takes InfluxDB's writes and fails as told: faults that a real server cannot be made to show. It keeps
 * the lines of every request it answered with 204.
 */

import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { TestContext } from 'node:test'
import { gunzipSync } from 'node:zlib'

export interface Fault {
  /** 0: no answer at all, the connection is cut. */
  readonly status: number
  readonly headers?: Record<string, string>
  readonly body?: object | string
}

export interface FaultServer {
  readonly url: string
  /** Lines written, without repetition. */
  readonly lines: Set<string>
  /** When each request arrived, milliseconds of `performance.now()`, and how many lines it had. */
  readonly requests: {
    readonly at: number
    readonly lines: number
    readonly path: string
    readonly authorization: string
    readonly encoding: string
  }[]
  /** Decides what happens to a request; undefined writes it. */
  decide: (lines: readonly string[], index: number) => Fault | undefined
  /** What is written is answered so long after it came. */
  answerMs: number
}

export async function startFaultServer(t: Pick<TestContext, 'after'>): Promise<FaultServer> {
  const server = createServer((request, response) => {
    void body(request).then((text) => {
      const lines = text.split('\n')
      const index = fault.requests.length
      const { authorization = '', 'content-encoding': encoding = '' } = request.headers
      fault.requests.push({
        at: performance.now(),
        lines: lines.length,
        path: request.url ?? '',
        authorization,
        encoding,
      })
      const decided = fault.decide(lines, index)
      if (decided === undefined) {
        for (const line of lines) if (line !== '') fault.lines.add(line)
        const answer = () => response.writeHead(204).end()
        if (fault.answerMs === 0) answer()
        else setTimeout(answer, fault.answerMs).unref()
      } else if (decided.status === 0) request.socket.destroy()
      else {
        const isText = typeof decided.body === 'string'
        response.writeHead(decided.status, {
          'content-type': isText ? 'text/html' : 'application/json',
          ...decided.headers,
        })
        response.end(isText ? decided.body : JSON.stringify(decided.body ?? {}))
      }
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const fault: FaultServer = {
    url: `http://127.0.0.1:${port}`,
    lines: new Set(),
    requests: [],
    decide: () => undefined,
    answerMs: 0,
  }
  return fault
}

async function body(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const bytes = Buffer.concat(chunks)
  return (request.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes).toString()
}

/**
 * Owns the codes by which the gateway closes a WebSocket. An app that is closed with 4000-4499 should come back, after
 * a pause; with 4500-4999 it should not, for the same would happen again (RFC 6455 section 7.4.2 leaves 4000-4999 to
 * applications).
 */

export interface CloseReason {
  readonly code: number
  /** At most 123 bytes (RFC 6455 section 5.5.1). */
  readonly text: string
}

export const CLOSE = {
  draining: { code: 4001, text: 'the gateway is stopping: come back in a moment' },
  internal: { code: 4002, text: 'the gateway failed: come back in a moment' },
  slow: {
    code: 4408,
    text: 'the app took what it was sent too slowly: come back and go on after your last cursor',
  },
  silent: { code: 4409, text: 'the app has answered no ping for too long: come back' },
  notText: { code: 4500, text: 'frames to the gateway are text: a JSON object each' },
  tokenExpired: { code: 4501, text: 'the token has expired: come back with a new one' },
  tokenRevoked: { code: 4504, text: 'the token, or its key, was revoked: come back with a new one' },
  frameTooLarge: { code: 4502, text: 'a frame to the gateway was larger than limits.commandBytes' },
  tooManyErrors: { code: 4503, text: 'too many commands of this connection were wrong' },
} as const satisfies Record<string, CloseReason>

export const mayComeBack = (code: number): boolean => code >= 4000 && code < 4500

/** Owns the fault of bytes that are no whole value of their format, or one that JSON has no words for. */

/** The message is the rest of a sentence about the payload. */
export class Malformed extends Error {}

/** Owns the type of a place in the log. Its text is the implementation's business. */

declare const positionBrand: unique symbol
/** A place in the log between two entries. Opaque and comparable (`Log.compare`); outlives the process as a string. */
export type Position = string & { readonly [positionBrand]: true }

/** Owns the quoting of names in DuckDB's SQL. Values are bound, but for integers that this code computed. */

export const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`

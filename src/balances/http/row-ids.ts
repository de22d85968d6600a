/** Ids that are numbers of rows, such as those of dead letters. */

/** As `parseNumbers` takes it. */
export const rowIdPattern = /^(\d{1,18})$/

/** Undefined for what no row can have. Null is what the router makes of a path that is not UTF-8. */
export const parseRowId = (text: string | null): bigint | undefined =>
  text !== null && rowIdPattern.test(text) ? BigInt(text) : undefined

/**
 * Sends records in parts that the receiver accepts: bounded in bytes, halved when refused for their
 * size, and smaller after a failure.
 */

/**
 * `too_large`: the receiver never accepts this item. `unsent`: sending failed after earlier items were
 * sent.
 */
type SendResult<Coordinates> = Coordinates | 'too_large' | 'unsent'

type PartsOptions<Item, Coordinates> = {
  /** Sends a part, or throws: then some, all or none of it may have arrived. */
  send: (items: Item[]) => Promise<Coordinates[]>
  bytesOf: (item: Item) => number
  isTooLarge: (error: unknown) => boolean
  bytesMax: number
  /** A refused part is divided further than this; the parts after it are not. */
  bytesMin: number
}

/** One result per item, in order. Throws what `send` threw if no part was sent before. */
export function createParts<Item, Coordinates extends object>({
  send,
  bytesOf,
  isTooLarge,
  bytesMax,
  bytesMin,
}: PartsOptions<Item, Coordinates>): (items: Item[]) => Promise<SendResult<Coordinates>[]> {
  // The most that was not refused, and the size to try: a receiver may refuse by closing the connection.
  let [mostBytes, triedBytes] = [bytesMax, bytesMax]
  const sum = (items: Item[]) => items.reduce((bytes, item) => bytes + bytesOf(item), 0)

  const divide = (items: Item[]): Item[][] => {
    const parts: Item[][] = []
    let bytes = 0
    for (const item of items) {
      bytes += bytesOf(item)
      const part = parts.at(-1)
      if (part && bytes <= triedBytes) part.push(item)
      else {
        parts.push([item])
        bytes = bytesOf(item)
      }
    }
    return parts
  }

  return async (items) => {
    const sent: SendResult<Coordinates>[] = []
    const waiting = divide(items).reverse()
    for (let part = waiting.pop(); part; part = waiting.pop()) {
      try {
        sent.push(...(await send(part)))
        triedBytes = Math.min(2 * triedBytes, mostBytes)
      } catch (error) {
        const half = part.length >> 1
        const lessBytes = Math.max(bytesMin, Math.floor(sum(part) / 2))
        if (!isTooLarge(error)) {
          triedBytes = Math.min(triedBytes, lessBytes)
          if (!sent.some((one) => typeof one === 'object')) throw error
          return [...sent, ...items.slice(sent.length).map(() => 'unsent' as const)]
        }
        if (half === 0) sent.push('too_large')
        else {
          mostBytes = Math.min(mostBytes, lessBytes)
          triedBytes = Math.min(triedBytes, mostBytes)
          waiting.push(part.slice(half), part.slice(0, half))
        }
      }
    }
    return sent
  }
}

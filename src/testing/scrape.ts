/** Reads `/metrics` of a service, as Prometheus does. */
import { parseText, type Scraped } from '../drills/exposition'
import type { Caller } from './stack'

export { parseText, type Scraped, type Series } from '../drills/exposition'

/** Throws for an answer other than 200. */
export async function scrape({ get }: Pick<Caller, 'get'>): Promise<Scraped> {
  const { status, body } = await get('/metrics')
  if (status !== 200) throw new Error(`/metrics answers ${status}`)
  return parseText(String(body.text))
}

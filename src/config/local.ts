/** What `npm start` and those who look at it from outside agree on. */
import { join } from 'node:path'

/** Has the process id of the `npm start` that uses a data directory, for as long as it does. */
export const pidFileOf = (dataDir: string): string => join(dataDir, 'lock.pid')

/** Two accounts of the sample data. */
export const eva = 'd6a41403-bbd0-11ee-8a24-0242ac120003'
export const frank = 'd6a41504-bbd0-11ee-8a24-0242ac120003'

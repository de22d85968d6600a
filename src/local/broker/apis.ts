import * as cluster from './apis/cluster.ts'
import * as groups from './apis/groups.ts'
import * as offsets from './apis/offsets.ts'
import * as records from './apis/records.ts'
import * as topics from './apis/topics.ts'

/** Every request that is served; these files export nothing else. */
export const apis = [
  ...Object.values(cluster),
  ...Object.values(topics),
  ...Object.values(records),
  ...Object.values(groups),
  ...Object.values(offsets),
]

export type ApiName = (typeof apis)[number]['name']

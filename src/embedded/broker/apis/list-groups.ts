import type { Api } from '../api.ts'
import { errorCodes } from '../error-codes.ts'

type Answer = { errorCode: number; groups: { groupId: string; protocolType: string }[] }

/**
 *     ListGroups Request v0-2 => (empty)
 *     ListGroups Response v0-2 => v1+ throttle_time_ms int32 · error_code int16 · [group_id string · protocol_type string]
 *
 * Groups with members, and those that have committed.
 */
export const listGroups: Api<null, Answer> = {
  key: 16,
  name: 'ListGroups',
  versions: [0, 2],

  parse: () => null,

  answer(_, { groups, offsets, refusal }) {
    if (refusal) return { errorCode: errorCodes[refusal], groups: [] }
    const known = new Map(offsets.groups().map((groupId) => [groupId, 'consumer']))
    for (const group of groups.all()) if (!group.isEmpty) known.set(group.id, group.describe().protocolType)
    return {
      errorCode: errorCodes.NONE,
      groups: [...known].map(([groupId, protocolType]) => ({ groupId, protocolType })),
    }
  },

  write(writer, { errorCode, groups }, version) {
    if (version >= 1) writer.int32(0)
    writer.int16(errorCode)
    writer.array(groups, ({ groupId, protocolType }) => writer.string(groupId).string(protocolType))
  },
}

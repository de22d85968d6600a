import { type Api, type Context, orRefusal } from '../api.ts'
import { errorCodes, Refusal } from '../error-codes.ts'

type Answer = { groupId: string; errorCode: number }[]

/**
 *     DeleteGroups Request v0-1 => [group_id string]
 *     DeleteGroups Response v0-1 => throttle_time_ms int32 · [group_id string · error_code int16]
 */
export const deleteGroups: Api<string[], Answer> = {
  key: 42,
  name: 'DeleteGroups',
  versions: [0, 1],

  parse: (reader) => reader.array(() => reader.string()),

  answer: (groupIds, context) =>
    Promise.all(groupIds.map(async (groupId) => ({ groupId, errorCode: await remove(groupId, context) }))),

  write(writer, groups) {
    writer.int32(0).array(groups, ({ groupId, errorCode }) => writer.string(groupId).int16(errorCode))
  },
}

function remove(groupId: string, context: Context): Promise<number> {
  return orRefusal<number>(
    async () => {
      if (context.refusal) throw new Refusal(context.refusal)
      const group = context.groups.find(groupId)
      if (group && !group.isEmpty) throw new Refusal('NON_EMPTY_GROUP')
      if (!context.offsets.groups().includes(groupId)) throw new Refusal('GROUP_ID_NOT_FOUND')
      await context.offsets.deleteGroup(groupId)
      context.groups.delete(groupId)
      return errorCodes.NONE
    },
    ({ code }) => code,
  )
}

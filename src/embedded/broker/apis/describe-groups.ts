import { type Api, type Context, orRefusal } from '../api.ts'
import { errorCodes, Refusal } from '../error-codes.ts'
import type { Group } from '../group.ts'

type Described = Omit<ReturnType<Group['describe']>, 'state'> & { errorCode: number; groupId: string; state: string }
type Answer = Described[]

/**
 *     DescribeGroups Request v0-2 => [group_id string]
 *     DescribeGroups Response v0-2 => v1+ throttle_time_ms int32 · [error_code int16 · group_id string · group_state string ·
 *       protocol_type string · protocol_data string ·
 *       [member_id string · client_id string · client_host string · member_metadata bytes · member_assignment bytes]]
 */
export const describeGroups: Api<string[], Answer> = {
  key: 15,
  name: 'DescribeGroups',
  versions: [0, 2],

  parse: (reader) => reader.array(() => reader.string()),

  answer: (groupIds, context) => Promise.all(groupIds.map((groupId) => describe(groupId, context))),

  write(writer, groups, version) {
    if (version >= 1) writer.int32(0)
    writer.array(groups, ({ errorCode, groupId, state, protocolType, protocol, members }) => {
      writer.int16(errorCode).string(groupId).string(state).string(protocolType).string(protocol)
      writer.array(members, (member) => {
        writer.string(member.memberId).string(member.clientId).string(member.clientHost)
        writer.bytes(member.metadata).bytes(member.assignment)
      })
    })
  },
}

function describe(groupId: string, context: Context): Promise<Described> {
  const absent = { groupId, state: 'Dead', protocolType: '', protocol: '', members: [] }
  return orRefusal<Described>(
    () => {
      if (context.refusal) throw new Refusal(context.refusal)
      const group = context.groups.find(groupId)
      if (group && !group.isEmpty) return { errorCode: errorCodes.NONE, groupId, ...group.describe() }
      const state = context.offsets.groups().includes(groupId) ? 'Empty' : 'Dead'
      return { ...absent, errorCode: errorCodes.NONE, state, protocolType: state === 'Empty' ? 'consumer' : '' }
    },
    ({ code }) => ({ ...absent, errorCode: code }),
  )
}

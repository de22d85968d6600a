import { type Api, type Context, orRefusal } from '../api.ts'
import { errorCodes, Refusal } from '../error-codes.ts'

type Answer = { name: string; errorCode: number }[]

/**
 *     DeleteTopics Request v0-3 => [name string] · timeout_ms int32
 *     DeleteTopics Response v0-3 => v1+ throttle_time_ms int32 · [name string · error_code int16]
 *
 * What groups committed about the topic goes with it, so that a new one of the same name starts afresh.
 */
export const deleteTopics: Api<string[], Answer> = {
  key: 20,
  name: 'DeleteTopics',
  versions: [0, 3],

  parse: (reader) => reader.array(() => reader.string()),

  answer: (names, context) =>
    Promise.all(names.map(async (name) => ({ name, errorCode: await remove(name, context) }))),

  write(writer, topics, version) {
    if (version >= 1) writer.int32(0)
    writer.array(topics, ({ name, errorCode }) => writer.string(name).int16(errorCode))
  },
}

function remove(name: string, context: Context): Promise<number> {
  return orRefusal<number>(
    async () => {
      if (context.refusal) throw new Refusal(context.refusal)
      if (!context.topics.find(name)) throw new Refusal('UNKNOWN_TOPIC_OR_PARTITION')
      await context.offsets.deleteTopic(name)
      await context.topics.delete(name)
      return errorCodes.NONE
    },
    ({ code }) => code,
  )
}

import { type Api, type Context, nodeId } from '../api.ts'
import { type ErrorName, errorCodes } from '../error-codes.ts'
import { type TopicConfig, topicConfigDefaults } from '../topics.ts'

type Resource = { type: number; name: string; keys: string[] | null }
type Entry = { key: string; value: string; isDefault: boolean }
type Described = { error: ErrorName; type: number; name: string; entries: Entry[] }

const topicType = 2
const brokerType = 4
const topicSource = 1
const defaultSource = 5

/**
 *     DescribeConfigs Request v0-2 => [resource_type int8 · resource_name string · nullable [config_name string]] ·
 *       v1+ include_synonyms boolean
 *     DescribeConfigs Response v0-2 => throttle_time_ms int32 · [error_code int16 · error_message nullable string ·
 *       resource_type int8 · resource_name string · [name string · value nullable string · read_only boolean ·
 *         v0 is_default boolean, v1+ config_source int8 · is_sensitive boolean · v1+ synonyms [..]]]
 */
export const describeConfigs: Api<Resource[], Described[]> = {
  key: 32,
  name: 'DescribeConfigs',
  versions: [0, 2],

  parse: (reader) =>
    reader.array(() => ({
      type: reader.int8(),
      name: reader.string(),
      keys: reader.nullableArray(() => reader.string()),
    })),

  answer: (resources, context) => resources.map((resource) => describe(resource, context)),

  write(writer, resources, version) {
    writer.int32(0)
    writer.array(resources, ({ error, type, name, entries }) => {
      writer.int16(errorCodes[error]).string(error === 'NONE' ? null : error)
      writer.int8(type).string(name)
      writer.array(entries, ({ key, value, isDefault }) => {
        writer
          .string(key)
          .string(value)
          .boolean(type === brokerType)
        if (version === 0) writer.boolean(isDefault)
        else writer.int8(isDefault ? defaultSource : topicSource)
        writer.boolean(false)
        if (version >= 1) writer.array([], () => {})
      })
    })
  },
}

function describe({ type, name, keys }: Resource, context: Context): Described {
  const refused = (error: ErrorName): Described => ({ error, type, name, entries: [] })
  if (context.refusal) return refused(context.refusal)
  if (type === brokerType) {
    if (name !== '' && name !== String(nodeId)) return refused('INVALID_REQUEST')
    const config = {
      'auto.create.topics.enable': String(context.autoCreateTopics),
      'num.partitions': String(context.partitionsDefault),
    }
    return { error: 'NONE', type, name, entries: entriesOf(config, keys, () => true) }
  }
  if (type !== topicType) return refused('INVALID_REQUEST')
  const topic = context.topics.find(name)
  if (!topic) return refused('UNKNOWN_TOPIC_OR_PARTITION')
  const isDefault = (key: string) => topic.config[key] === topicConfigDefaults[key]
  return { error: 'NONE', type, name, entries: entriesOf(topic.config, keys, isDefault) }
}

function entriesOf(config: TopicConfig, keys: string[] | null, isDefault: (key: string) => boolean): Entry[] {
  return Object.entries(config)
    .filter(([key]) => !keys?.length || keys.includes(key))
    .map(([key, value]) => ({ key, value, isDefault: isDefault(key) }))
}

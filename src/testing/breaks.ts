/** Compatibility of a schema with its released version. */

export type JsonSchema = Readonly<Record<string, unknown>>

/**
 * The breaking changes against a released schema, each with its field. Only adding optional fields
 * and changing texts is compatible: a narrower schema cannot read old records, and old readers
 * reject the records of a wider one.
 */
export function breaks(released: JsonSchema, current: JsonSchema, field?: string): string[] {
  const [was, is] = [partsOf(released), partsOf(current)]
  const place = (name: string) => (field === undefined ? name : `${field}.${name}`)
  const found: string[] = []
  for (const [name, schema] of Object.entries(was.properties)) {
    const kept = is.properties[name]
    found.push(...(kept ? breaks(schema, kept, place(name)) : [`${place(name)} is gone`]))
    if (kept && was.required.includes(name) && !is.required.includes(name))
      found.push(`${place(name)} is optional now`)
  }
  for (const name of is.required)
    if (!was.required.includes(name)) found.push(`${place(name)} is required now`)
  for (const keyword of Object.keys({ ...was.others, ...is.others })) {
    const [before, now] = [was.others[keyword], is.others[keyword]]
    if (Bun.deepEquals(before, now)) continue
    found.push(
      `${field ?? 'the payload'}: ${keyword} was ${JSON.stringify(before)} and is ${JSON.stringify(now)}`,
    )
  }
  return found
}

/** Keywords without effect on validation. */
const annotations = new Set(['$schema', '$id', 'title', 'description', 'default', 'examples'])

function partsOf({ properties = {}, required = [], ...rest }: JsonSchema) {
  const others = JSON.stringify(rest, (keyword, value) => (annotations.has(keyword) ? undefined : value))
  return {
    properties: properties as Record<string, JsonSchema>,
    required: required as string[],
    others: JSON.parse(others) as JsonSchema,
  }
}

/** How previews are answered: as the command itself would be, with what does not exist yet left out. */
import { type Static, type TObject, type TProperties, type TSchema, Type } from '@sinclair/typebox'
import { AssumedVersions, DryRunMark } from '../../platform/http/preview'
import { type Answer, answer } from '../../platform/http/route'
import { closedObject } from '../../platform/http/schemas'
import type { AssumedVersion } from '../ledger/preview'

const NoId = Type.Null({ description: 'It would be a new one.' })

/** An answer of something new: it has no id yet. */
export const withoutId = <Members extends TProperties>(title: string, { properties }: TObject<Members>) =>
  closedObject(title, { ...properties, id: NoId } as Omit<Members, 'id'> & { id: typeof NoId })

export const previewMembers = { dry_run: DryRunMark, assumed: AssumedVersions }

/** Without `Location`, and without a token for versions that no read would ever find. */
export function previewAnswer(status: number, { content }: Answer): Answer {
  const schema = content?.schema
  if (!schema) throw new Error('a command is answered with a body')
  const variants: TSchema[] = schema.anyOf ?? [schema]
  const previews = variants.map((one) => previewOf(one as TObject, status === 201))
  return answer(previews.length > 1 ? Type.Union(previews) : (previews[0] as TSchema))
}

function previewOf({ title = '', properties }: TObject, isNew: boolean): TObject {
  if (!isNew) return closedObject(`${title}ChangePreview`, { ...properties, ...previewMembers })
  return closedObject(`${title}Preview`, { ...properties, id: NoId, ...previewMembers })
}

/** The members of an answer that mark it. */
export const markOf = (assumed: AssumedVersion[]) => ({
  dry_run: true as const,
  assumed: presentAssumed(assumed),
})

const presentAssumed = (assumed: AssumedVersion[]) =>
  assumed.map(({ version, ...of }) => ({
    ...('accountId' in of ? { account_id: of.accountId } : { client_id: of.clientId }),
    version: Number(version),
  }))

/** For a refusal. None is about a client that exists. */
export const presentRefusing = (assumed: AssumedVersion[]) =>
  presentAssumed(assumed) as Static<typeof AssumedVersions>

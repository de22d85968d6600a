/** Runs the requests of a `.http` file in order, like an editor with support for them. */
import { join } from 'node:path'
import type { ServiceName } from '../config/config'
import { type Answer, callerOf } from './stack'

export type HttpFileAnswers = Record<string, Answer>

/**
 * Sends every request of a file of the top folder to the service at `port`. Returns the responses
 * by `@name`; throws for a request it cannot parse.
 */
export async function runHttpFile(name: string, port: number): Promise<HttpFileAnswers> {
  const text = await Bun.file(join(import.meta.dir, '../..', name)).text()
  const caller = callerOf(name.replace('.http', '') as ServiceName, port)
  const answers: HttpFileAnswers = {}
  for (const written of text.split(/^###.*$/m).slice(1)) {
    const block = written
      .replace(/\{\{(\w+)\.response\.body\.\$\.(\w+)\}\}/g, (_, earlier, field) =>
        String(answers[earlier]?.body[field]),
      )
      .replace(/\{\{(\w+)\.response\.headers\.([\w-]+)\}\}/g, (_, earlier, name) =>
        String(answers[earlier]?.headers.get(name)),
      )
    const label = /^# @name (\w+)$/m.exec(block)?.[1]
    const match = /^(GET|POST|PATCH|DELETE) \{\{host\}\}(\S+)\n((?:[\w-]+: .+\n)*)(?:\n([\s\S]*))?$/m.exec(
      block,
    )
    if (!label || !match) throw new Error(`${name} has an invalid request: ${block}`)
    const [, method, path = '', headerLines = '', body] = match
    const headers = Object.fromEntries(
      [...headerLines.matchAll(/^([\w-]+): (.+)$/gm)].map(([, key, value]) => [key?.toLowerCase(), value]),
    )
    const verb = method?.toLowerCase() as 'get' | 'post' | 'patch' | 'delete'
    answers[label] =
      verb === 'get' || verb === 'delete'
        ? await caller[verb](path, headers)
        : await caller[verb](path, JSON.parse(body ?? ''), headers)
  }
  return answers
}

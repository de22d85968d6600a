/** The OpenAPI documents of both services and `docs/errors.md`, from the tables of routes. */
import { basename, join } from 'node:path'
import { version } from '../../package.json'
import type { ServiceName } from '../config/config'
import { apis } from '../contract/docs/api'
import { describeErrors } from '../platform/http/docs/errors'
import { type OpenApi, openApi } from '../platform/http/docs/openapi'
import { apiBreaks } from './api-breaks'
import { routesOf } from './documented'

export const services = Object.keys(apis) as ServiceName[]

/** A document on disk does not know where it is served. */
const serversOf = (service: ServiceName) => [
  {
    url: 'http://{host}:{port}',
    description: 'As `npm start` and `docker compose up` serve it.',
    variables: {
      host: { default: 'localhost' },
      port: { default: new URL(apis[service].url).port },
    },
  },
]

export const documentOf = (service: ServiceName): OpenApi =>
  openApi(routesOf[service], { ...apis[service], servers: serversOf(service) })

const released = 'docs/openapi/released'

/** The documents of this version, without blanks: they are only compared. */
export const writeReleased = (): Map<string, string> =>
  new Map(
    services.map((service): [string, string] => [
      `${released}/${version}/${service}.json`,
      `${JSON.stringify(documentOf(service))}\n`,
    ]),
  )

/** What a current document, by service, breaks of each released one. */
export async function brokenReleases(currentOf = documentOf): Promise<string[]> {
  const root = join(import.meta.dir, '../..')
  const found: string[] = []
  for (const path of [...new Bun.Glob(`${released}/*/*.json`).scanSync(root)].sort()) {
    const service = basename(path, '.json') as ServiceName
    const breaks = apiBreaks(await Bun.file(join(root, path)).json(), currentOf(service))
    found.push(...breaks.map((one) => `${path.replace(`${released}/`, '')}: ${one}`))
  }
  return found
}

/** Expected content by path within the repository. */
export const writeApiDocs = (): Map<string, string> =>
  new Map([
    ...services.map((service): [string, string] => [
      `docs/openapi/${service}.json`,
      `${JSON.stringify(documentOf(service), null, 2)}\n`,
    ]),
    ['docs/errors.md', describeErrors(routesOf)],
  ])

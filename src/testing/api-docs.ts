/** The OpenAPI documents of both services and `docs/errors.md`, from the tables of routes. */
import type { ServiceName } from '../config/config'
import { apis } from '../contract/docs/api'
import { describeErrors } from '../platform/http/docs/errors'
import { type OpenApi, openApi } from '../platform/http/docs/openapi'
import { routesOf } from './documented'

const ports: Record<ServiceName, string> = { wallet: '8080', balances: '3003' }
export const services = Object.keys(ports) as ServiceName[]

/** A document on disk does not know where it is served. */
const serversOf = (service: ServiceName) => [
  {
    url: 'http://{host}:{port}',
    description: 'As `npm start` and `docker compose up` serve it.',
    variables: { host: { default: 'localhost' }, port: { default: ports[service] } },
  },
]

export const documentOf = (service: ServiceName): OpenApi =>
  openApi(routesOf[service], { ...apis[service], servers: serversOf(service) })

/** Expected content by path within the repository. */
export const writeApiDocs = (): Map<string, string> =>
  new Map([
    ...services.map((service): [string, string] => [
      `docs/openapi/${service}.json`,
      `${JSON.stringify(documentOf(service), null, 2)}\n`,
    ]),
    ['docs/errors.md', describeErrors(routesOf)],
  ])

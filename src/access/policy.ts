/** When a service needs keys, and when it refuses to start. Pure. */

/** `AUTH`. Undefined: needed as soon as there is a key. A service without keys stays on loopback. */
export type AuthMode = 'keys' | 'anonymous-read' | 'off' | undefined

/** For which routes a request needs a key. */
export type Needed = 'none' | 'beyond_reads' | 'all'

export type Decision =
  | { refusal: string; needed?: undefined }
  | { needed: Needed; level: 'info' | 'warn'; message: string; refusal?: undefined }

const isLoopback = (host: string): boolean => /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/i.test(host)

/** `hasKeys`: there is a key, also one that is not valid any more. */
export function decideStart({
  service,
  auth,
  host,
  hasKeys,
}: {
  service: string
  auth: AuthMode
  host: string
  hasKeys: boolean
}): Decision {
  const reach = isLoopback(host) ? 'this machine' : `every machine that reaches ${host}`
  if (auth === 'off') {
    if (!hasKeys) return { needed: 'none', level: 'warn', message: `AUTH=off: ${reach} may do everything` }
    return {
      refusal:
        'AUTH is off, and there are API keys, which would not be checked. Unset AUTH, or remove the keys: ' +
        'API_KEYS, and the rows of table api_keys.',
    }
  }
  if (auth === 'anonymous-read')
    return { needed: 'beyond_reads', level: 'info', message: `reads need no API key: ${reach} may read` }
  if (auth === 'keys' || hasKeys) return { needed: 'all', level: 'info', message: 'requests need an API key' }
  if (isLoopback(host))
    return { needed: 'none', level: 'info', message: 'requests need no API key until there is one' }
  return {
    refusal:
      `HOST is ${host}, which other machines may reach, and there is no API key. Create one, now or after ` +
      `a start with AUTH=keys: npm run saldo -- keys create --service ${service} --name NAME --scopes ` +
      'read,write,admin (in a container: saldo keys create …). Or set HOST=127.0.0.1. Or set ' +
      'AUTH=off, if something in front of the service decides who may use it.',
  }
}

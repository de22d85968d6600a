/** A request as a command for a POSIX shell. Pure. */

export type ShownRequest = {
  url: string
  method: 'GET' | 'POST'
  headers?: Readonly<Record<string, string>>
  body?: unknown
  /** The shell variable with the API key, where the page has one: the key itself is not shown. */
  keyVariable?: string | undefined
}

/** One word of a command line, as it is. Nothing in single quotes means anything to a shell. */
export const quoted = (word: string): string =>
  /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`

/** One option a line. */
export function curlOf({ url, method, headers = {}, body, keyVariable }: ShownRequest): string {
  // Of these, curl would make several addresses.
  const command = /[[\]{}]/.test(url) ? 'curl -g' : 'curl'
  const isPost = method === 'POST' && body === undefined
  return [
    `${command} ${isPost ? '-X POST ' : ''}${quoted(url)}`,
    ...(keyVariable ? [`-H "authorization: Bearer $${keyVariable}"`] : []),
    ...Object.entries(headers).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`),
    ...(body === undefined
      ? []
      : [`-H 'content-type: application/json'`, `-d ${quoted(JSON.stringify(body))}`]),
  ].join(' \\\n  ')
}

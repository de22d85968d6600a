/** A real browser, headless, for tests of what pages can do. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** Null where there is none. `CHROMIUM` names another one. */
export const browser: string | null = [process.env.CHROMIUM, ...places].find(isThere) ?? null

function isThere(path: string | undefined): path is string {
  return path !== undefined && path !== '' && existsSync(path)
}

/** Opens a page, and closes the browser at the end of the scope. `names` all lead to this machine. */
export function openPage(url: string, names: readonly string[] = []): AsyncDisposable {
  if (!browser) throw new Error('no Chromium on this machine')
  const profile = mkdtempSync(join(tmpdir(), 'saldo-browser-'))
  const rules = names.map((name) => `MAP ${name} 127.0.0.1`).join(', ')
  const child = Bun.spawn(
    [
      browser,
      ...[
        '--headless=new',
        '--no-sandbox',
        '--disable-gpu',
        '--no-first-run',
        '--disable-background-networking',
      ],
      ...[`--user-data-dir=${profile}`, `--host-resolver-rules=${rules}`, url],
    ],
    { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' },
  )
  return {
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await child.exited
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

/** Pages of another site. Each reports once, by a request to `/report`. */
export function serveSite(port: number, page: string, reported: (report: unknown) => void) {
  return Bun.serve({
    hostname: '127.0.0.1',
    port,
    async fetch(request) {
      if (new URL(request.url).pathname === '/report') {
        reported(await request.json())
        return new Response()
      }
      return new Response(page, { headers: { 'content-type': 'text/html; charset=utf-8' } })
    },
  })
}

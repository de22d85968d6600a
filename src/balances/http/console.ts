/** The console: a page that shows what happens, and what it has to know before it asks for more. */
import { type Static, Type } from '@sinclair/typebox'
import { problems } from '../../contract/problems'
import { refuse } from '../../platform/http/app'
import { header, requestHeaders, responseHeaders, sometimes } from '../../platform/http/headers'
import { commonProblems } from '../../platform/http/problem'
import { answer, type Route, route } from '../../platform/http/route'
import { closedObject, nullable } from '../../platform/http/schemas'
import type { ConsoleFile, ConsoleFiles } from '../console/page'
import { consoleTag } from './console-tag'
import { consoleExamples } from './examples/console'

export type ConsoleSettings = Static<typeof SettingsResponse>

export type ConsoleOptions = {
  files: () => Promise<ConsoleFiles>
  settings: () => ConsoleSettings
}

const SettingsResponse = closedObject('ConsoleSettings', {
  release: Type.String({ description: 'The version of this service.' }),
  wallet_url: nullable(Type.String({ format: 'uri' }), 'Where a browser reaches the wallet, as configured.'),
  actions: Type.Boolean({ description: 'Whether the page may cause failures here.' }),
  needs_key: Type.Boolean({ description: 'Whether reads need an API key.' }),
  local: Type.Boolean({ description: 'Whether `npm start` runs it, which can stop parts of it.' }),
})

const revalidated = header('Cache-Control', 'Revalidated each time.', Type.String({ const: 'no-cache' }))
const compressed = header('Content-Encoding', 'Where it is accepted.', Type.String({ const: 'gzip' }))
const pageHeaders = [
  header('Content-Security-Policy', 'The page loads its own files, and calls the two services.'),
  revalidated,
]
const fileHeaders = [revalidated, header('ETag', 'Of the content.'), sometimes(compressed)]
const pageProblems = [commonProblems.malformed, commonProblems.internal, commonProblems.validation]

export const consoleRoutes = (options: ConsoleOptions): Route[] => [
  route({
    method: 'GET',
    path: '/',
    id: 'getIndexPage',
    scope: 'open',
    tag: consoleTag,
    summary: 'The console, for `Accept: text/html` as browsers send it.',
    responses: {
      200: answer({ mediaType: 'text/html' }, { headers: pageHeaders, description: 'The page.' }),
    },
    problems: [commonProblems.notFound],
    common: pageProblems,
    examples: consoleExamples.getConsole,
    handle({ request }) {
      if (!/\btext\/html\b/i.test(request.headers.get('accept') ?? ''))
        return refuse(request, commonProblems.notFound, {
          detail: 'no route for /: the routes are at /openapi.json, health is at /readyz',
          headers: { vary: 'Accept' },
        })
      const headers = {
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': policyOf(options.settings().wallet_url),
        'cache-control': 'no-cache',
        vary: 'Accept',
      }
      return new Response(page, { headers })
    },
  }),
  route({
    method: 'GET',
    path: '/console/assets/:name',
    id: 'getConsoleAsset',
    scope: 'open',
    isUnlimited: true,
    tag: consoleTag,
    summary: 'A file of the page: its script or its style.',
    params: { name: Type.String({ description: '`main.js` or `main.css`.' }) },
    responses: {
      200: answer({ mediaType: 'text/javascript', alternatives: ['text/css'] }, { headers: fileHeaders }),
      304: answer(null, { headers: fileHeaders }),
    },
    traits: [{ requestHeaders: [requestHeaders.ifNoneMatch], responseHeaders: [], problems: [] }],
    problems: [problems.consoleFileNotFound],
    common: pageProblems,
    examples: consoleExamples.getConsoleAsset,
    async handle({ params: { name }, request }) {
      const file = (await options.files()).get(name)
      if (file) return fileResponse(file, request.headers)
      return refuse(request, problems.consoleFileNotFound, { detail: `the console has no file ${name}` })
    },
  }),
  route({
    method: 'GET',
    path: '/console/settings',
    id: 'getConsoleSettings',
    scope: 'open',
    tag: consoleTag,
    summary: 'What the page has to know first.',
    responses: {
      200: answer(SettingsResponse, { headers: [responseHeaders.cacheControl('no-store')] }),
    },
    common: pageProblems,
    examples: consoleExamples.getConsoleSettings,
    handle: () => Response.json(options.settings(), { headers: { 'cache-control': 'no-store' } }),
  }),
]

function fileResponse({ body, gzip, etag, type }: ConsoleFile, asked: Headers): Response {
  const headers = { 'content-type': type, etag, 'cache-control': 'no-cache', vary: 'Accept-Encoding' }
  if (asked.get('if-none-match')?.includes(etag)) return new Response(null, { status: 304, headers })
  if (!/\bgzip\b/.test(asked.get('accept-encoding') ?? '')) return new Response(body, { headers })
  return new Response(gzip, { headers: { ...headers, 'content-encoding': 'gzip' } })
}

/** Scripts and styles from here alone, and no connection but to the two services. */
function policyOf(walletUrl: string | null): string {
  const connect = ["'self'", ...(walletUrl === null ? [] : [new URL(walletUrl).origin])]
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    `connect-src ${connect.join(' ')}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
}

const icon =
  'data:image/svg+xml,%3Csvg xmlns=%22http://www.w3.org/2000/svg%22 viewBox=%220 0 16 16%22%3E' +
  '%3Crect width=%2216%22 height=%2216%22 rx=%223%22 fill=%22%230b6b4f%22/%3E' +
  '%3Cpath d=%22M3 6h7M6 10h7%22 stroke=%22white%22 stroke-width=%222%22/%3E%3C/svg%3E'

/** With the frame already in it, which is painted before the script has run. */
const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Saldo console</title>
<link rel="icon" href="${icon}">
<link rel="stylesheet" href="/console/assets/main.css">
<script type="module" src="/console/assets/main.js"></script>
<div id="app"><header class="top"><span class="brand">Saldo</span></header></div>
<noscript>The console needs JavaScript. The routes are at <a href="/openapi">/openapi</a>.</noscript>
</html>
`

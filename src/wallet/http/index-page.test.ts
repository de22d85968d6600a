import { expect, test } from 'bun:test'
import { createWalletApp, type WalletOptions } from './app'

const pageAt = async (balancesUrl: string | undefined): Promise<string> => {
  const app = createWalletApp({ isReady: () => true, kafka: {}, balancesUrl } as WalletOptions)
  const answer = await app.fetch(new Request('http://localhost/', { headers: { accept: 'text/html' } }))
  expect(answer.status).toBe(200)
  expect(answer.headers.get('content-security-policy')).toStartWith("default-src 'none'; style-src 'sha256-")
  return answer.text()
}

const linksOf = (page: string) => [...page.matchAll(/href="([^"]*)"/g)].map(([, href]) => href)
const own = [
  '/openapi',
  '/openapi.json',
  '/asyncapi',
  '/asyncapi.json',
  '/livez',
  '/readyz',
  '/healthz',
  '/metrics',
]

test.each(['http://localhost:3003', 'https://balances.example'])(
  'the page links to the console at %s, to the documents and to health, and has no script',
  async (balancesUrl) => {
    const page = await pageAt(balancesUrl)
    expect(linksOf(page)).toEqual([`${balancesUrl}/`, ...own])
    expect(page).not.toContain('<script')
  },
)

test('without an address of the console it says which setting is missing', async () => {
  const page = await pageAt(undefined)
  expect(linksOf(page)).toEqual(own)
  expect(page).toContain('<code>BALANCES_PUBLIC_URL</code>')
})

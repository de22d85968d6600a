/** The rate limits of a service, and what answers say about them. */
import { refuse } from '../platform/http/app'
import { refusedByLimit } from '../platform/http/limits'
import { commonProblems } from '../platform/http/problem'
import { burstSeconds, type Quota, TokenBuckets } from './rate-limit'

/** Requests a second; 0 for no limit. */
export type RateLimitOptions = {
  perKey: number
  /** Of requests without a valid key. */
  perAddress: number
}

export type RateLimits = ReturnType<typeof createRateLimits>

export function createRateLimits({ perKey, perAddress }: RateLimitOptions = { perKey: 0, perAddress: 0 }) {
  const limits = {
    key: { buckets: new TokenBuckets(perKey), perSecond: perKey, of: 'this API key' },
    address: {
      buckets: new TokenBuckets(perAddress),
      perSecond: perAddress,
      of: 'this address without a valid API key',
    },
  }
  const headers = new WeakMap<Request, Record<string, string>>()

  return {
    /** The refusal of a request that is beyond the limit. */
    count(request: Request, policy: keyof typeof limits, name: string): Response | undefined {
      const { buckets, perSecond, of } = limits[policy]
      if (perSecond === 0) return undefined
      const quota = buckets.take(name)
      headers.set(request, headersOf(policy, quota, buckets.burst))
      if (quota.isWithin) return undefined
      refusedByLimit[policy]++
      const detail = `requests of ${of} are limited to ${perSecond} a second, and ${buckets.burst} at once`
      return refuse(request, commonProblems.quotaExceeded, {
        detail,
        violatedPolicies: [policy],
        headers: { 'retry-after': String(quota.moreInS) },
      })
    },
    headersOf: (request: Request) => headers.get(request),
  }
}

/** As in draft-ietf-httpapi-ratelimit-headers-10. */
const headersOf = (policy: string, { remaining, moreInS }: Quota, burst: number) => ({
  'ratelimit-policy': `"${policy}";q=${burst};w=${burstSeconds}`,
  ratelimit: `"${policy}";r=${remaining};t=${moreInS}`,
})

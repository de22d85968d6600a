/** What the page at `/` of the wallet says first. */

/** In Markdown. */
export const introductionOf = (balancesUrl: string | undefined): string =>
  [
    'The wallet takes the commands that move money, keeps the ledger, and publishes what happened as events.',
    'Balances, which makes its answers of these events, has **the console**: a page that shows the money',
    balancesUrl === undefined
      ? 'move. Set `BALANCES_PUBLIC_URL`, and this page links to it.'
      : `move. [Open the console](${balancesUrl}/)`,
    '\nThis service says of itself:',
  ].join('\n')

/** Requests and answers, for documents. A test sends each. */

export const rebuildExamples = {
  getRebuild: { newest: { status: 200 } },
  requestRebuild: {
    nothingToSwap: {
      summary: 'There is no rebuild that is ready',
      body: { action: 'swap' },
      status: 409,
      response: {
        type: '/problems/rebuild-conflict',
        detail: 'there is no rebuild that is ready to be swapped',
      },
    },
    start: { body: { action: 'start' }, status: 202 },
  },
} as const

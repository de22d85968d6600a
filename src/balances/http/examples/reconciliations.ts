/** Requests and answers, for documents. A test sends each. */

const reconciliation = {
  id: '1',
  result: 'different',
  watermark: '2024-11-23T14:20:01.004Z',
  differences_total: 1,
  signed_by: null,
  stored_at: '2024-11-23T14:20:02.118Z',
  href: '/reconciliations/1',
}

/** Shortened: docs/cli.md has all members. */
const report = {
  type: 'saldo.reconciliation.v1',
  software: { name: 'saldo', version: '0.2.0' },
  result: 'different',
  watermark: '2024-11-23T14:20:01.004Z',
  differences_total: 1,
  differences: [
    {
      where: 'read model',
      problem: 'missing although its event was consumed',
      account_id: 'd6a41403-bbd0-11ee-8a24-0242ac120003',
    },
  ],
}

export const reconciliationExamples = {
  listReconciliations: {
    different: {
      query: { result: 'different', limit: '10' },
      status: 200,
      response: { data: [reconciliation], next_cursor: null },
    },
  },
  getReconciliation: {
    unsigned: {
      params: { id: '1' },
      status: 200,
      response: { ...reconciliation, report, jws: null },
    },
    unknown: {
      params: { id: '900000000' },
      status: 404,
      response: { type: '/problems/reconciliation-not-found' },
    },
  },
} as const

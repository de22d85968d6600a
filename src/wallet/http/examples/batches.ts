/** Requests and answers, for documents. A test sends each. */

const [john, jane] = ['d6a4053e-bbd0-11ee-8a24-0242ac120003', 'd6a40ce9-bbd0-11ee-8a24-0242ac120003']

export const batchExamples = {
  createBatch: {
    atomic: {
      headers: { 'Idempotency-Key': '"93f7b2aa-5d1c-4f4e-8c6b-7a9e0d1f2c88"' },
      body: {
        transactions: [
          { kind: 'deposit', account_id_to: john, amount: 20 },
          { account_id_from: john, account_id_to: jane, amount: 20 },
        ],
      },
      status: 201,
    },
    bestEffort: {
      summary: 'Each on its own: the second is refused',
      body: {
        mode: 'best_effort',
        transactions: [
          { account_id_from: john, account_id_to: jane, amount: 1 },
          { account_id_from: john, account_id_to: jane, amount: 1_000_000 },
        ],
      },
      status: 200,
      response: {
        mode: 'best_effort',
        refused: 1,
        results: [
          {
            status: 201,
            transaction: {
              id: '01935a58-0c4d-7a6e-9f1b-8d2e3c5b7a19',
              account_id_from: john,
              account_id_to: jane,
              amount: 1,
              currency: 'BRL',
              kind: 'transfer',
              reference: null,
              metadata: null,
              reverses: null,
              hold_id: null,
              actor: null,
              reversed: 0,
              version_account_id_from: 4,
              version_account_id_to: 4,
              effective_at: '2024-11-23T14:14:31.266Z',
              created_at: '2024-11-23T14:14:31.266Z',
            },
          },
          {
            status: 422,
            problem: {
              type: '/problems/insufficient-funds',
              title: 'Insufficient funds',
              status: 422,
              detail: 'insufficient funds',
              code: 'INSUFFICIENT_FUNDS',
            },
          },
        ],
      },
    },
    preview: {
      summary: 'What it would be, each on the result of the one before it',
      body: {
        transactions: [
          { kind: 'deposit', account_id_to: john, amount: 20 },
          { account_id_from: john, account_id_to: jane, amount: 20 },
        ],
        dry_run: true,
      },
      status: 201,
    },
    refused: {
      summary: 'Atomic: one is refused, so none is executed',
      body: { transactions: [{ account_id_from: john, account_id_to: jane, amount: 1_000_000 }] },
      status: 422,
      response: {
        type: '/problems/batch-refused',
        detail: 'nothing was moved, because of #/transactions/0: insufficient funds',
        errors: [{ detail: 'insufficient funds', code: 'INSUFFICIENT_FUNDS', pointer: '#/transactions/0' }],
      },
    },
  },
} as const

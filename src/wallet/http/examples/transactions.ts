/** Requests and answers, for documents. A test sends each. */
import { worldIdOf } from '../../domain/account'

const transfer = {
  id: '01935a52-3f4b-7c1e-a1d0-2f6f8f4f9a10',
  account_id_from: 'd6a41403-bbd0-11ee-8a24-0242ac120003',
  account_id_to: 'd6a41504-bbd0-11ee-8a24-0242ac120003',
  amount: 10.25,
  currency: 'BRL',
  kind: 'transfer',
  reference: 'lunch',
  metadata: { order: 4711 },
  reverses: null,
  hold_id: null,
  actor: null,
  reversed: 0,
  version_account_id_from: 5,
  version_account_id_to: 5,
  effective_at: '2024-11-23T14:05:19.499Z',
  created_at: '2024-11-23T14:05:19.499Z',
}
/** As it is once a part was taken back. */
const reversed = { ...transfer, reversed: 0.25 }
const deposit = {
  ...transfer,
  id: '01935a52-9c7d-7f2a-b3e1-5d4c6b8a0f12',
  account_id_from: worldIdOf('BRL'),
  account_id_to: 'd6a4053e-bbd0-11ee-8a24-0242ac120003',
  amount: 250,
  kind: 'deposit',
  reference: 'salary',
  metadata: null,
  version_account_id_from: 12,
  version_account_id_to: 2,
}

const reversal = {
  ...transfer,
  id: '01935a54-6b2e-7a4f-9b7d-1f3e5c7a9b14',
  account_id_from: transfer.account_id_to,
  account_id_to: transfer.account_id_from,
  amount: 0.25,
  kind: 'reversal',
  reference: 'rounding',
  metadata: null,
  reverses: transfer.id,
  version_account_id_from: 6,
  version_account_id_to: 6,
}
const tooBroad = 'name an account_id or a client_id, a reference, a hold_id, reverses, or a metadata.<name>'
const john = deposit.account_id_to
const legOf = ({ account_id_from, account_id_to }: typeof transfer, amount: number, versions: number[]) => ({
  account_id_from,
  account_id_to,
  amount,
  version_account_id_from: versions[0],
  version_account_id_to: versions[1],
})
const withFee = {
  id: '01935a55-2b6c-7d3e-8f4a-6c8e0a2d4b16',
  postings: [legOf(transfer, 80, [7, 7]), legOf({ ...transfer, account_id_to: john }, 1.2, [8, 4])],
  currency: 'BRL',
  kind: 'postings',
  reference: 'order 1',
  metadata: null,
  reverses: null,
  reversed: 0,
  actor: null,
  effective_at: '2024-11-23T14:08:02.731Z',
  created_at: '2024-11-23T14:08:02.731Z',
}

export const transactionExamples = {
  listTransactions: {
    ofEva: {
      query: { account_id: transfer.account_id_from, kind: 'transfer', limit: '1' },
      status: 200,
      response: { data: [reversed], next_cursor: 'WyIxNzMyMzc' },
    },
    ofClientInJanuary: {
      summary: 'Of all accounts of a client, in a period',
      query: {
        client_id: 'd6a3bc81-bbd0-11ee-8a24-0242ac120003',
        kind: 'transfer',
        since: '2019-01-01T00:00:00Z',
        until: '2019-02-01T00:00:00Z',
      },
      status: 200,
      response: { data: [], next_cursor: null },
    },
    ofAnOrder: {
      summary: 'By a member of the metadata, and by reference',
      query: { reference: 'lunch', 'metadata.order': '4711' },
      status: 200,
      response: { data: [reversed], next_cursor: null },
    },
    reversalsOfTransfer: {
      summary: 'What was taken back of a transaction',
      query: { reverses: transfer.id },
      status: 200,
      response: { data: [reversal], next_cursor: null },
    },
    unselective: {
      summary: 'Neither an account, nor a client, nor anything to search for',
      query: { kind: 'transfer' },
      status: 422,
      response: {
        type: '/problems/validation',
        detail: tooBroad,
        errors: [{ detail: tooBroad, pointer: '#/account_id' }],
      },
    },
  },
  getTransaction: {
    transfer: { params: { id: transfer.id }, status: 200, response: reversed },
    postings: { params: { id: withFee.id }, status: 200 },
    unknown: {
      params: { id: '00000000-0000-4000-8000-000000000000' },
      status: 404,
      response: {
        type: '/problems/transaction-not-found',
        detail: 'transaction 00000000-0000-4000-8000-000000000000 does not exist',
      },
    },
  },
  getDelivery: {
    transfer: {
      params: { id: transfer.id },
      status: 200,
      response: {
        transaction_id: transfer.id,
        committed_at: transfer.created_at,
        status: 'published',
        events: ['transactions', 'balances'].map((topic) => ({
          name: topic === 'balances' ? 'BalanceUpdated' : 'TransactionCreated',
          leg: null,
          topic,
          status: 'published',
          partition: 2,
          offset: 17,
          published_at: '2024-11-23T14:05:19.512Z',
          waiting_seconds: null,
        })),
        waits_for: null,
      },
    },
  },
  createTransfer: {
    evaPaysFrank: {
      headers: { 'Idempotency-Key': '"8e03978e-40d5-43e8-bc93-6894a57f9324"' },
      body: {
        account_id_from: transfer.account_id_from,
        account_id_to: transfer.account_id_to,
        amount: '10.25',
        reference: 'lunch',
        metadata: { order: 4711 },
      },
      status: 201,
      response: transfer,
    },
    withFee: {
      summary: 'A payment and its fee, both or neither',
      headers: { 'Idempotency-Key': '"5d0b7c1e-2f3a-4b6c-8d9e-0a1b2c3d4e5f"' },
      body: {
        postings: [
          {
            account_id_from: transfer.account_id_from,
            account_id_to: transfer.account_id_to,
            amount: '80.00',
          },
          { account_id_from: transfer.account_id_from, account_id_to: john, amount: '1.20' },
        ],
        reference: 'order 1',
      },
      status: 201,
      response: withFee,
    },
    split: {
      summary: 'A deposit that is split among three; the last part leaves',
      body: {
        postings: [
          { account_id_to: transfer.account_id_from, amount: 90 },
          { account_id_from: transfer.account_id_from, account_id_to: transfer.account_id_to, amount: 30 },
          { account_id_from: transfer.account_id_from, account_id_to: john, amount: 30 },
          { account_id_from: transfer.account_id_from, amount: 30 },
        ],
      },
      status: 201,
    },
    postingNotCovered: {
      summary: 'The second posting is not covered when it is its turn',
      body: {
        postings: [
          { account_id_from: transfer.account_id_from, account_id_to: transfer.account_id_to, amount: 1 },
          { account_id_from: transfer.account_id_from, account_id_to: john, amount: 1_000_000 },
        ],
      },
      status: 422,
      response: {
        type: '/problems/insufficient-funds',
        detail: 'posting 1: insufficient funds',
        errors: [{ detail: 'posting 1: insufficient funds', pointer: '#/postings/1/amount' }],
      },
    },
    withoutFunds: {
      summary: 'More than the payer has',
      body: {
        account_id_from: transfer.account_id_from,
        account_id_to: transfer.account_id_to,
        amount: 1_000_000,
      },
      status: 422,
      response: { type: '/problems/insufficient-funds', detail: 'insufficient funds' },
    },
    preview: {
      summary: 'What it would be: nothing is written, and there is no id',
      body: {
        account_id_from: transfer.account_id_from,
        account_id_to: transfer.account_id_to,
        amount: 5,
        dry_run: true,
      },
      status: 201,
      response: {
        ...transfer,
        id: null,
        amount: 5,
        reference: null,
        metadata: null,
        version_account_id_from: 6,
        version_account_id_to: 6,
        dry_run: true,
        assumed: [
          { account_id: transfer.account_id_from, version: 5 },
          { account_id: transfer.account_id_to, version: 5 },
        ],
      },
    },
    previewRefused: {
      summary: 'A preview of what would be refused',
      body: {
        account_id_from: transfer.account_id_from,
        account_id_to: transfer.account_id_to,
        amount: 1_000_000,
        dry_run: true,
      },
      status: 422,
      response: { type: '/problems/insufficient-funds', detail: 'insufficient funds', dry_run: true },
    },
    toItself: {
      body: {
        account_id_from: transfer.account_id_from,
        account_id_to: transfer.account_id_from,
        amount: 1,
      },
      status: 422,
      response: {
        type: '/problems/same-account',
        detail: 'an account cannot transfer to itself',
        code: 'ACCOUNTS_NOT_DIFFERENT',
      },
    },
  },
  createDeposit: {
    salary: {
      params: { id: deposit.account_id_to },
      headers: { 'Idempotency-Key': '"0b6f5d0e-8a63-4b0a-9f0c-2f1f4b1d7c31"' },
      body: { amount: 250, reference: 'salary' },
      status: 201,
      response: deposit,
    },
  },
  createWithdrawal: {
    cash: {
      params: { id: deposit.account_id_to },
      headers: { 'Idempotency-Key': '"4f1f9f4c-7f5a-4a9e-8d49-60f0b4f5b0c2"' },
      body: { amount: '49.90' },
      status: 201,
      response: {
        ...deposit,
        id: '01935a53-4a1d-7e0c-8f6b-9c2d1e0f3a13',
        account_id_from: deposit.account_id_to,
        account_id_to: deposit.account_id_from,
        amount: 49.9,
        kind: 'withdrawal',
        reference: null,
        version_account_id_from: 3,
        version_account_id_to: 13,
      },
    },
  },
  reverseTransaction: {
    inPart: {
      params: { id: transfer.id },
      headers: { 'Idempotency-Key': '"d0f9a6c6-1a3c-4c9e-8a55-9b8a0f3c7e44"' },
      body: { amount: '0.25', reference: 'rounding' },
      status: 201,
      response: reversal,
    },
    postings: {
      summary: 'Postings go back as a whole',
      params: { id: withFee.id },
      status: 201,
    },
    postingsInPart: {
      summary: 'An amount of postings',
      params: { id: withFee.id },
      body: { amount: 80 },
      status: 422,
      response: {
        type: '/problems/reversal-not-whole',
        detail: 'a transaction with postings is reversed as a whole',
        errors: [{ detail: 'a transaction with postings is reversed as a whole', pointer: '#/amount' }],
      },
    },
    tooMuch: {
      summary: 'More than is left of it',
      params: { id: transfer.id },
      body: { amount: 100 },
      status: 422,
      response: {
        type: '/problems/amount-exceeds-original',
        detail: 'the amount is more than is left of the transaction',
        errors: [{ detail: 'the amount is more than is left of the transaction', pointer: '#/amount' }],
      },
    },
  },
} as const

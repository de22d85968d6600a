/** Requests and answers, for documents. A test sends each. */
import { worldIdOf } from '../../domain/account'

const hold = {
  id: '01935a55-8e1f-7c6d-9d5a-3b2c1d0e9f16',
  status: 'placed',
  account_id_from: 'd6a41504-bbd0-11ee-8a24-0242ac120003',
  account_id_to: 'd6a40ce9-bbd0-11ee-8a24-0242ac120003',
  amount: 30,
  captured: null,
  currency: 'BRL',
  reference: 'hotel',
  metadata: null,
  transaction_id: null,
  actor: null,
  changed_actor: null,
  version_account_id_from: 7,
  expires_at: '2024-11-30T14:08:56.703Z',
  created_at: '2024-11-23T14:08:56.703Z',
  ended_at: null,
}
const rental = {
  ...hold,
  id: '01935a56-1a4b-7e8c-b6f7-7c5d9e3a2b17',
  account_id_to: worldIdOf('BRL'),
  amount: 5,
  reference: null,
  version_account_id_from: 8,
}

export const holdExamples = {
  listHolds: {
    openOfFrank: {
      summary: 'The open ones of an account',
      query: { account_id: hold.account_id_from, status: 'placed', limit: '1' },
      status: 200,
      response: { data: [rental], next_cursor: 'WyIwMTkzNWE1Ni' },
    },
  },
  getHold: { hotel: { params: { id: hold.id }, status: 200, response: hold } },
  extendHold: {
    rental: {
      params: { id: rental.id },
      headers: { 'Idempotency-Key': '"5d7c9b1a-3e2f-4a6b-8c9d-0e1f2a3b4c55"' },
      body: { expires_at: '2024-12-14T12:00:00Z' },
      status: 200,
      response: { ...rental, version_account_id_from: 9, expires_at: '2024-12-14T12:00:00.000Z' },
    },
    earlier: {
      summary: 'To an earlier time',
      params: { id: rental.id },
      body: { expires_at: '2024-11-25T12:00:00Z' },
      status: 422,
      response: {
        type: '/problems/expiry-not-later',
        detail: 'the hold expires later than that already',
        code: 'EXPIRES_AT_NOT_LATER',
      },
    },
  },
  createHold: {
    hotel: {
      headers: { 'Idempotency-Key': '"b7f1c8f2-2f3b-4d0c-9a57-3f6c8b1e5d55"' },
      body: {
        account_id_from: hold.account_id_from,
        account_id_to: hold.account_id_to,
        amount: 30,
        reference: 'hotel',
      },
      status: 201,
      response: hold,
    },
    withoutPayee: {
      summary: 'For a payee outside the wallet',
      body: { account_id_from: hold.account_id_from, amount: 5 },
      status: 201,
      response: rental,
    },
  },
  captureHold: {
    inPart: {
      params: { id: hold.id },
      headers: { 'Idempotency-Key': '"f3a5b1de-6c0f-4a8b-8b1e-0d9c7f2a4e66"' },
      body: { amount: 25 },
      status: 201,
      response: {
        id: '01935a57-5d3c-7b9e-8a2f-6e1d0c4b9a18',
        account_id_from: hold.account_id_from,
        account_id_to: hold.account_id_to,
        amount: 25,
        currency: 'BRL',
        kind: 'capture',
        reference: 'hotel',
        metadata: null,
        reverses: null,
        hold_id: hold.id,
        actor: null,
        reversed: 0,
        version_account_id_from: 9,
        version_account_id_to: 3,
        effective_at: '2024-11-23T14:11:02.118Z',
        created_at: '2024-11-23T14:11:02.118Z',
      },
    },
    again: {
      summary: 'A hold ends once',
      params: { id: hold.id },
      body: {},
      status: 409,
      response: {
        type: '/problems/already-captured',
        detail: 'the hold was captured before',
        code: 'HOLD_ALREADY_CAPTURED',
      },
    },
  },
  releaseHold: {
    preview: {
      summary: 'What it would be',
      params: { id: rental.id },
      body: { dry_run: true },
      status: 200,
      response: {
        ...rental,
        status: 'released',
        captured: 0,
        version_account_id_from: 10,
        ended_at: '2024-11-23T14:12:40.907Z',
        dry_run: true,
        assumed: [
          { account_id: rental.account_id_from, version: 9 },
          { account_id: rental.account_id_to, version: 13 },
        ],
      },
    },
    whole: {
      params: { id: rental.id },
      headers: { 'Idempotency-Key': '"1e2d3c4b-5a69-4788-97a6-b5c4d3e2f177"' },
      body: {},
      status: 200,
      response: {
        ...rental,
        status: 'released',
        captured: 0,
        version_account_id_from: 10,
        ended_at: '2024-11-23T14:12:40.907Z',
      },
    },
  },
} as const

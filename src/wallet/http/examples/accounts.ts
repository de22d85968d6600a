/** Requests and answers, for documents. A test sends each. */

import { worldIdOf } from '../../domain/account'

const john = {
  id: '01935a50-0f1c-7d3b-b1a4-2c8e6f4a7d11',
  client_id: 'd6a3b836-bbd0-11ee-8a24-0242ac120003',
  currency: 'BRL',
  status: 'open',
  balance: 0,
  held: 0,
  available: 0,
  overdraft_limit: 200,
  version: 0,
  actor: null,
  changed_actor: null,
  created_at: '2024-11-23T14:02:45.340Z',
  updated_at: '2024-11-23T14:02:45.340Z',
}

const world = {
  ...john,
  id: worldIdOf('BRL'),
  client_id: null,
  balance: -10000,
  available: -10000,
  overdraft_limit: null,
  version: 10,
}

const inYen = {
  ...john,
  id: '01935a50-1c6e-7f0a-9d3d-5a1e0b7c4e12',
  currency: 'JPY',
  overdraft_limit: 0,
}

export const accountExamples = {
  listAccounts: {
    ofJohn: {
      query: { client_id: john.client_id, currency: 'BRL', limit: '1' },
      status: 200,
      response: { data: [john], next_cursor: 'WyIwMTkzNWE1MC' },
    },
  },
  listWorldAccounts: {
    first: { query: { limit: '1' }, status: 200, response: { data: [world], next_cursor: 'WyIwMDAwMDA' } },
  },
  updateAccount: {
    overdraft: {
      params: { id: john.id },
      headers: { 'Idempotency-Key': '"0b6f0f0e-7f0c-4a58-9a3b-1d5b2c3e4f11"' },
      body: { overdraft_limit: 250, reference: 'raise 3' },
      status: 200,
      response: { ...john, overdraft_limit: 250, version: 1, updated_at: '2024-11-23T14:21:10.204Z' },
    },
  },
  freezeAccount: {
    debits: {
      summary: 'So that nothing leaves it',
      params: { id: john.id },
      headers: { 'Idempotency-Key': '"7f1a5b0c-2f64-4b6d-8c40-6b1e9d0a5c22"' },
      body: { scope: 'debits', reference: 'case 7' },
      status: 200,
      response: {
        ...john,
        status: 'debits_frozen',
        overdraft_limit: 250,
        version: 2,
        updated_at: '2024-11-23T14:22:31.870Z',
      },
    },
  },
  unfreezeAccount: {
    ofJohn: {
      params: { id: john.id },
      headers: { 'Idempotency-Key': '"c9e3d1b2-5a4f-4e1d-9b8c-7a6f5e4d3c33"' },
      body: {},
      status: 200,
      response: { ...john, overdraft_limit: 250, version: 3, updated_at: '2024-11-23T14:25:02.119Z' },
    },
  },
  closeAccount: {
    inYen: {
      params: { id: inYen.id },
      headers: { 'Idempotency-Key': '"d2b4f6a8-1c3e-4d5f-8a7b-9c0d1e2f3a44"' },
      body: {},
      status: 200,
      response: { ...inYen, status: 'closed', version: 1, updated_at: '2024-11-23T14:26:44.951Z' },
    },
  },
  getAccount: { ofJohn: { params: { id: john.id }, status: 200, response: john } },
  createAccount: {
    ofJohn: {
      headers: { 'Idempotency-Key': '"6a0e4a51-63bb-4c3b-8f5b-7e4b1c5d9d20"' },
      body: { client_id: john.client_id, overdraft_limit: 200 },
      status: 201,
      response: john,
    },
    inYen: {
      summary: 'In yen, which has no decimals',
      body: { client_id: john.client_id, currency: 'JPY' },
      status: 201,
      response: inYen,
    },
    unknownClient: {
      body: { client_id: '00000000-0000-4000-8000-000000000000' },
      status: 404,
      response: {
        type: '/problems/client-not-found',
        detail: 'client 00000000-0000-4000-8000-000000000000 does not exist',
      },
    },
  },
} as const

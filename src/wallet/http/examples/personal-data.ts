/** Requests and answers, for documents. A test sends each. */
import { irene } from './clients'

const params = { id: irene.id }

export const personalDataExamples = {
  getPersonalData: {
    known: {
      params,
      status: 200,
      response: {
        client_id: irene.id,
        versions: [
          { version: 1, name: irene.name, email: irene.email, since: irene.created_at },
          { version: 2, name: 'Irene Costa', email: irene.email, since: '2024-11-23T14:20:00.512Z' },
        ],
        erased_at: null,
        purged_at: null,
      },
    },
  },
  erasePersonalData: {
    irene: {
      params,
      headers: { 'Idempotency-Key': '"0b0c9d2e-5a41-4b07-9a6f-3d1f6c8e2a55"' },
      status: 200,
      response: {
        ...irene,
        name: null,
        email: null,
        version: 3,
        updated_at: '2024-11-24T09:00:00.221Z',
        erased_at: '2024-11-24T09:00:00.221Z',
      },
    },
  },
} as const

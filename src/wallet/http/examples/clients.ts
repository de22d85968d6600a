/** Requests and answers, for documents. A test sends each. */

export const irene = {
  id: '01935a4f-8e0b-7b52-8f0e-3f9a5f1d2c01',
  name: 'Irene',
  email: 'irene@example.com',
  version: 1,
  actor: null,
  changed_actor: null,
  created_at: '2024-11-23T14:02:11.083Z',
  updated_at: '2024-11-23T14:02:11.083Z',
  erased_at: null,
}

export const clientExamples = {
  listClients: {
    byEmail: {
      query: { email: 'Irene@example.com' },
      status: 200,
      response: { data: [irene], next_cursor: null },
    },
  },
  getClient: { irene: { params: { id: irene.id }, status: 200, response: irene } },
  updateClient: {
    name: {
      params: { id: irene.id },
      headers: { 'Idempotency-Key': '"f4c2a9a0-6a53-4f0c-8f6e-2b9d0e4c7a31"' },
      body: { name: 'Irene Costa' },
      status: 200,
      response: { ...irene, name: 'Irene Costa', version: 2, updated_at: '2024-11-23T14:20:00.512Z' },
    },
  },
  createClient: {
    irene: {
      headers: { 'Idempotency-Key': '"5c1f7a3e-0d0c-4f3f-9a55-0a5cf6f0c9b1"' },
      body: { name: 'Irene', email: 'irene@example.com' },
      status: 201,
      response: irene,
    },
    withoutName: {
      summary: 'A name without a visible character',
      body: { name: ' ', email: 'irene@example.com' },
      status: 422,
      response: {
        type: '/problems/validation',
        detail: 'the body has an invalid value',
        errors: [
          {
            detail: 'must be a name of 1 to 255 visible characters, without line breaks and other controls',
            pointer: '#/name',
          },
        ],
      },
    },
  },
} as const

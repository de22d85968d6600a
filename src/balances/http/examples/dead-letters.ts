/** Requests and answers, for documents. A test sends each. */

const letter = {
  id: '1',
  topic: 'balances',
  partition: 0,
  offset: 17,
  offset_last: null,
  cause: 'not_json',
  detail: 'the value is not JSON',
  key: null,
  value: 'hello',
  key_bytes: null,
  value_bytes: 5,
  truncated: false,
  href: '/dead-letters/1',
  headers: [],
  record_at: '2024-11-23T14:20:01.004Z',
  recorded_at: '2024-11-23T14:20:01.019Z',
  attempts: 1,
  sent_at: '2024-11-23T14:20:01.232Z',
}

export const deadLetterExamples = {
  listDeadLetters: {
    notJson: {
      query: { cause: 'not_json', limit: '10' },
      status: 200,
      response: { data: [letter], next_cursor: null },
    },
  },
  listDeadLetterCauses: {
    all: {
      status: 200,
      response: {
        data: [
          {
            cause: 'not_json',
            topic: 'balances',
            count: 1,
            first_recorded_at: letter.recorded_at,
            last_recorded_at: letter.recorded_at,
            example_id: letter.id,
          },
        ],
        next_cursor: null,
      },
    },
  },
  getDeadLetter: {
    notJson: { params: { id: letter.id }, status: 200, response: letter },
    unknown: {
      params: { id: '999999' },
      status: 404,
      response: { type: '/problems/dead-letter-not-found', detail: 'there is no dead letter 999999' },
    },
  },
  redriveDeadLetters: {
    rehearsal: { summary: 'Only report', body: { all: true, dry_run: true }, status: 200 },
    ofCause: {
      body: { cause: 'not_json', topic: 'balances' },
      status: 200,
    },
    ofNone: {
      summary: 'It has to be said which',
      body: {},
      status: 422,
      response: {
        type: '/problems/validation',
        detail: 'say which letters are meant by one of ids, cause and all',
        errors: [{ detail: 'say which letters are meant by one of ids, cause and all', pointer: '#' }],
      },
    },
  },
} as const

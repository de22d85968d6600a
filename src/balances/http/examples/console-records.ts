/** Requests and answers, for documents. A test sends each. */

export const consoleRecordExamples = {
  getRecordOutcome: {
    applied: {
      params: { topic: 'accounts', partition: '0', offset: '0' },
      status: 200,
      response: {
        topic: 'accounts',
        partition: 0,
        offset: 0,
        consumed: true,
        applied: true,
        next_offset: 4,
        end_offset: 4,
        dead_letter: null,
        paused: false,
        consumer: {
          status: 'pass',
          output: '9 partitions, 0 records behind, last applied at 2024-11-23T14:20:01.019Z',
        },
      },
    },
  },
} as const

/** Requests and answers, for documents. A test sends each. */

const record = { topic: 'balances', partition: 2, offset: 15 }

export const consoleActionExamples = {
  runConsoleAction: {
    pause: {
      params: { name: 'pause-projection' },
      status: 200,
      response: { action: 'pause-projection', done: 'the projection of this process is paused' },
    },
    resume: {
      params: { name: 'resume-projection' },
      status: 200,
      response: { action: 'resume-projection', done: 'the projection of this process is resumed' },
    },
    poison: {
      summary: 'A record that becomes a dead letter',
      params: { name: 'poison-record' },
      status: 200,
      response: { action: 'poison-record', done: 'a record that is not JSON was published', record },
    },
    notLocal: {
      summary: 'Where npm start does not run the services',
      params: { name: 'stop-broker' },
      status: 409,
      response: {
        type: '/problems/console-action-not-possible',
        detail: 'stop-broker needs npm start, which does not run this process',
        code: 'NEEDS_LOCAL_RUN',
      },
    },
  },
} as const

/** Requests and answers, for documents. A test sends each. */

export const consoleExamples = {
  getConsole: { inBrowser: { headers: { Accept: 'text/html' }, status: 200 } },
  getConsoleAsset: {
    script: { params: { name: 'main.js' }, status: 200 },
    missing: {
      params: { name: 'other.js' },
      status: 404,
      response: { code: 'CONSOLE_FILE_NOT_FOUND', detail: 'the console has no file other.js' },
    },
  },
  getConsoleSettings: {
    now: {
      status: 200,
      response: { release: '0.2.0', wallet_url: null, actions: true, needs_key: false, local: false },
    },
  },
} as const

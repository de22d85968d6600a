/** Requests and answers, for documents. A test sends each. */

export const documentExamples = {
  getDocumentsPage: { all: { status: 200 } },
  getDocumentPage: {
    concepts: { params: { name: 'concepts' }, status: 200 },
    image: { params: { name: 'flow.svg' }, status: 200 },
    unknown: {
      params: { name: 'secrets' },
      status: 404,
      response: {
        type: '/problems/not-found',
        detail: 'there is no document secrets; /docs lists them',
      },
    },
  },
} as const

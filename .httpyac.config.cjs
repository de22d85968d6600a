/**
 * For httpyac, as an editor extension or on the command line: teaches it the notation that REST Client has for an earlier answer,
 * `{{name.response.body.$.field}}` and `{{name.response.headers.ETag}}`.
 */
module.exports = {
  configureHooks: ({ hooks }) =>
    hooks.onResponse.addHook('earlierAnswers', ({ parsedBody, headers = {} }) => {
      if (typeof parsedBody !== 'object' || parsedBody === null) return
      const response = { body: { $: parsedBody }, headers: { ...headers, ETag: headers.etag } }
      Object.defineProperty(parsedBody, 'response', { value: response })
    }),
}

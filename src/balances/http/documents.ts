/** The documents of the repository, for people who read them where the service runs. */

import { Type } from '@sinclair/typebox'
import { refuse } from '../../platform/http/app'
import { responseHeaders } from '../../platform/http/headers'
import { markdownPage, type Page } from '../../platform/http/page'
import { commonProblems } from '../../platform/http/problem'
import { answer, route } from '../../platform/http/route'
import type { Documents } from '../console/documents'
import { documentExamples } from './examples/documents'

const tag = { name: 'Documentation', description: 'The documents of the repository, as pages.' }
const headers = [responseHeaders.contentSecurityPolicy]
const common = [commonProblems.malformed, commonProblems.internal, commonProblems.validation]
const respond = ({ text, headers }: Page): Response => new Response(text, { headers })

const refuseDocument = (request: Request, documents: Documents, name: string | null): Response =>
  refuse(request, commonProblems.notFound, {
    detail: documents.isInstalled
      ? `there is no document ${name ?? 'of that name'}; /docs lists them`
      : 'the folder docs is not part of this installation; the documents are in the repository',
  })

export const documentRoutes = (documents: Documents) => [
  route({
    method: 'GET',
    path: '/docs',
    id: 'getDocumentsPage',
    scope: 'open',
    tag,
    summary: 'Links to the documents, as a page.',
    responses: { 200: answer({ mediaType: 'text/html' }, { headers, description: 'The page.' }) },
    problems: [commonProblems.notFound],
    common,
    examples: documentExamples.getDocumentsPage,
    handle({ request }) {
      if (!documents.isInstalled) return refuseDocument(request, documents, null)
      const links = documents.list().map(({ name, title }) => `- [${title}](/docs/${name})`)
      return respond(markdownPage(`# Documents of Saldo\n\n${links.join('\n')}\n`))
    },
  }),
  route({
    method: 'GET',
    path: '/docs/:name',
    id: 'getDocumentPage',
    scope: 'open',
    tag,
    summary: 'A document, as a page, or one of its images.',
    description: 'Links to files that are not served, such as those of the source, are text.',
    params: { name: Type.String({ description: 'The name of its file, without `.md`.' }) },
    responses: {
      200: answer(
        { mediaType: 'text/html', alternatives: ['image/svg+xml'] },
        { headers, description: 'The page, or the image.' },
      ),
    },
    problems: [commonProblems.notFound],
    common,
    examples: documentExamples.getDocumentPage,
    handle({ params, request }) {
      const page = params.name === null ? undefined : documents.find(params.name)
      return page ? respond(page) : refuseDocument(request, documents, params.name)
    },
  }),
]

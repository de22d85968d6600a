import { expect, test } from 'bun:test'
import { commonProblems, problemResponse } from './problem'

test.each([
  ['#', '#'],
  ['#/transactions/0/amount', '#/transactions/0/amount'],
  ['#/a b', '#/a%20b'],
  ['#/é😀', '#/%C3%A9%F0%9F%98%80'],
  ['#/a~0b~1c%d#e?', '#/a~0b~1c%25d%23e?'],
  ['#/x[]"<>^`{}|', '#/x%5B%5D%22%3C%3E%5E%60%7B%7D%7C'],
  ['#/\ud800', '#/%EF%BF%BD'],
])('the pointer %j is sent as a URI fragment', async (pointer, fragment) => {
  const answer = problemResponse(
    commonProblems.validation,
    { detail: 'a', errors: [{ detail: 'b', pointer }] },
    '/',
    '0',
  )
  expect(((await answer.json()) as { errors: unknown }).errors).toEqual([{ detail: 'b', pointer: fragment }])
})

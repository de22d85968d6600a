/** The group of the routes that the console's page uses. */
export const consoleTag = {
  name: 'Console',
  description: 'What the page at `/` shows. For that page: these routes may change with it.',
}

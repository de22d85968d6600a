/** The group of the routes that the console's page uses. */
export const consoleTag = {
  name: 'Console',
  description: 'The page at `/`, and what only it needs. These routes may change with any version.',
}

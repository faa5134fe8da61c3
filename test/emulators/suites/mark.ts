/** Before a test that an emulator is known not to pass; the report shows these on their own. */
export const deviationMark = 'known deviation: '

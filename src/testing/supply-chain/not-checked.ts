/** Of sysexits.h: try again later. `.ci/run` counts it as skipped, neither passed nor failed. */
export const notChecked = 75

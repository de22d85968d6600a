/** How often each limit has refused a request, since the start of the process. For metrics. */
export const refusedByLimit = { key: 0, address: 0, streams: 0 }

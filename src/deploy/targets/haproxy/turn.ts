const last = new Map<string, Promise<unknown>>();

/**
 * One piece of work at a time on a socket: the same HAProxy may be a node of several terminations, and has one
 * transaction for all of its clients. All that is done on a node is done by one process.
 */
export async function inTurn<T>(socket: string, work: () => Promise<T>): Promise<T> {
  const before = last.get(socket) ?? Promise.resolve();
  const mine = before.then(work, work);
  last.set(socket, mine);
  try {
    return await mine;
  } finally {
    if (last.get(socket) === mine) last.delete(socket);
  }
}

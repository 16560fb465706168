/** Something that runs until it is closed. */
export interface Service {
  close(): Promise<void>;
}

/** One service out of several; closed in the reverse order of their start, each even if another one fails. */
export function together(services: readonly Service[]): Service {
  return {
    close: async () => {
      const failures: unknown[] = [];
      for (const service of [...services].reverse())
        await service.close().catch((error) => failures.push(error));
      if (failures.length > 0) throw failures[0];
    },
  };
}

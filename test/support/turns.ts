/** Lets several lanes take turns: within a lane any number go at once, two lanes never. */

interface Waiting {
  lane: string;
  go: () => void;
}

export class Turns {
  #open = "";
  #inside = 0;
  #waiting: Waiting[] = [];

  /** Resolves when `lane` has its turn, to a function that must be called once on leaving. */
  async enter(lane: string): Promise<() => void> {
    // Those who come while another lane waits join the queue: no lane can keep the others out.
    const free = this.#inside === 0 || (this.#open === lane && this.#waiting.length === 0);
    if (free) this.#open = lane;
    if (free) this.#inside++;
    else await new Promise<void>((go) => this.#waiting.push({ lane, go }));
    let left = false;
    return () => {
      if (left) return;
      left = true;
      if (--this.#inside === 0) this.#next();
    };
  }

  /** The lane that has waited longest goes next, with all that wait for it: changing lanes is what costs. */
  #next(): void {
    const lane = this.#waiting[0]?.lane;
    if (lane === undefined) return;
    const batch = this.#waiting.filter((entry) => entry.lane === lane);
    this.#waiting = this.#waiting.filter((entry) => entry.lane !== lane);
    this.#open = lane;
    this.#inside = batch.length;
    for (const entry of batch) entry.go();
  }
}

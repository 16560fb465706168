import { Agent } from "node:https";
import { createSecureContext } from "node:tls";
import acme from "acme-client";

export interface LoopOptions {
  directory: string;
  rootPem: string;
  names: readonly string[];
  /** token → key authorization, for the http-01 server. */
  answers: Map<string, string>;
  concurrency: number;
}

/** What a script over acme-client does, at its best: `auto` for each name, with P-256 keys and keep-alive. */
export async function bareLoop({
  directory,
  rootPem,
  names,
  answers,
  concurrency,
}: LoopOptions): Promise<void> {
  // As a context made once: a list of roots would be part of the agent's key for every request.
  const agent = new Agent({ keepAlive: true, secureContext: createSecureContext({ ca: rootPem }) });
  acme.axios.defaults.httpsAgent = agent;
  const client = new acme.Client({
    directoryUrl: directory,
    accountKey: await acme.crypto.createPrivateEcdsaKey(),
    // Its own five seconds between two polls would measure nothing but that.
    backoffMin: 500,
    backoffMax: 2_000,
  });
  await client.createAccount({ termsOfServiceAgreed: true });
  const waiting = [...names];
  const worker = async (): Promise<void> => {
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      const [, csr] = await acme.crypto.createCsr(
        { altNames: [name] },
        await acme.crypto.createPrivateEcdsaKey(),
      );
      await client.auto({
        csr,
        skipChallengeVerification: true,
        challengePriority: ["http-01"],
        challengeCreateFn: async (_, { token }, keyAuthorization) => {
          answers.set(token, keyAuthorization);
        },
        challengeRemoveFn: async () => undefined,
      });
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  agent.destroy();
}

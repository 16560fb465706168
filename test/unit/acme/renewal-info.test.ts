/** What a CA answers about renewals, well and badly, over real connections. */
import { afterEach, describe, expect, it } from "vitest";
import { fetchRenewalInfo } from "../../../src/acme/renewal-info.ts";
import { openEndpoint } from "../../../src/acme/transport.ts";
import type { AppError } from "../../../src/core/errors.ts";
import { type Answer, type Script, type ScriptedServer, startScripted } from "../../support/scripted-http.ts";

const CERT_ID = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE";
const START = "2027-01-02T04:00:00Z";
const END = "2027-01-03T04:00:00Z";

const opened: (() => void | Promise<void>)[] = [];

afterEach(async () => {
  for (const close of opened.splice(0)) await close();
});

interface Asked {
  server: ScriptedServer;
  paced: string[];
  agents: (string | undefined)[];
  ask(base?: string): ReturnType<typeof fetchRenewalInfo>;
}

async function ca(script: Script): Promise<Asked> {
  const agents: (string | undefined)[] = [];
  const server = await startScripted((request, response) => {
    agents.push(request.headers["user-agent"]);
    return script(request, response);
  });
  const paced: string[] = [];
  const directory = `${server.url}/directory`;
  const close = openEndpoint({
    directory,
    userAgent: "certherd-test",
    timeout: 300,
    pace: (url, method) => {
      paced.push(`${method} ${url}`);
      return Promise.resolve();
    },
  });
  opened.push(close, () => server.stop());
  const base = `${server.url}/renewal-info`;
  return { server, paced, agents, ask: (url = base) => fetchRenewalInfo(directory, url, CERT_ID) };
}

function json(document: unknown, more: Answer = {}): Answer {
  const headers = { "content-type": "application/json", ...more.headers };
  return { ...more, headers, body: JSON.stringify(document) };
}

const windowed = (start: unknown = START, end: unknown = END, more: object = {}): object => ({
  suggestedWindow: { start, end },
  ...more,
});

async function refused(answer: Answer): Promise<AppError> {
  const { ask } = await ca(() => answer);
  return (await ask().then(
    () => undefined,
    (error: unknown) => error,
  )) as AppError;
}

describe("what the CA suggests for a certificate", () => {
  it("is read as a window, with a page for a person", async () => {
    const explanationURL = "https://ca.example/why";
    const { ask } = await ca(() => json(windowed(START, END, { explanationURL })));
    expect(await ask()).toEqual({
      window: { start: Date.parse(START), end: Date.parse(END) },
      explanationUrl: explanationURL,
    });
  });

  it.each(["javascript:alert(1)", 7, null])(
    "comes without a page that is none: %s",
    async (explanationURL) => {
      const { ask } = await ca(() => json(windowed(START, END, { explanationURL })));
      expect(await ask()).not.toHaveProperty("explanationUrl");
    },
  );

  it.each(["2027-01-02T05:00:00.000+01:00", "2027-01-02T04:00:00.000000001Z"])(
    "may have its times in any form of RFC 3339: %s",
    async (start) => {
      const { ask } = await ca(() => json(windowed(start)));
      expect((await ask()).window.start).toBe(Date.parse(START));
    },
  );

  it("is asked for with one paced GET at the certificate's id, by name and without an account", async () => {
    const { server, paced, agents, ask } = await ca(() => json(windowed()));
    await ask();
    await ask(`${server.url}/renewal-info/`);
    const path = `/renewal-info/${CERT_ID}`;
    expect(server.requests).toEqual([`GET ${path}`, `GET ${path}`]);
    expect(paced).toEqual([`GET ${server.url}${path}`, `GET ${server.url}${path}`]);
    expect(agents).toEqual(["certherd-test", "certherd-test"]);
  });
});

describe("how long the CA wants to be left alone", () => {
  it("may be told in seconds", async () => {
    const { ask } = await ca(() => json(windowed(), { headers: { "retry-after": "21600" } }));
    const before = Date.now();
    const { retryAt = 0 } = await ask();
    expect(retryAt).toBeGreaterThanOrEqual(before + 21_600_000);
    expect(retryAt).toBeLessThanOrEqual(Date.now() + 21_600_000);
  });

  it("may be told as a date", async () => {
    const at = Math.ceil(Date.now() / 1_000) * 1_000 + 3_600_000;
    const { ask } = await ca(() =>
      json(windowed(), { headers: { "retry-after": new Date(at).toUTCString() } }),
    );
    expect((await ask()).retryAt).toBe(at);
  });

  it("is not known where it tells nothing, or nothing that can be read", async () => {
    const plain = await ca(() => json(windowed()));
    expect(await plain.ask()).not.toHaveProperty("retryAt");
    const odd = await ca(() => json(windowed(), { headers: { "retry-after": "soon" } }));
    expect(await odd.ask()).not.toHaveProperty("retryAt");
  });
});

describe("an answer that the CA would only repeat", () => {
  it.each([
    ["a window that ends before it begins", json(windowed(END, START))],
    // RFC 9773 §4.2: one that ends as it begins is as bad.
    ["a window without length", json(windowed(START, START))],
    ["times that are no RFC 3339", json(windowed("2 Jan 2027", END))],
    ["a time without a zone", json(windowed("2027-01-02T04:00:00", END))],
    ["a month too many", json(windowed("2027-13-02T04:00:00Z", END))],
    ["numbers for times", json(windowed(Date.parse(START), Date.parse(END)))],
    ["no window", json({})],
    ["a window that is null", json({ suggestedWindow: null })],
    ["null", json(null)],
    ["a page", { headers: { "content-type": "text/html" }, body: "<html>Welcome</html>" }],
    ["broken JSON", { headers: { "content-type": "application/json" }, body: '{"suggestedWindow":' }],
    ["nothing", { status: 204 }],
    ["another place", { status: 302, headers: { location: "https://ca.example/" } }],
  ])("is none: %s", async (_, answer) => {
    expect(await refused(answer)).toMatchObject({ code: "ca_answer", disposition: "attention" });
  });

  it.each([
    [404, ""],
    [404, "urn:ietf:params:acme:error:malformed"],
    [400, "urn:ietf:params:acme:error:malformed"],
    [403, "urn:ietf:params:acme:error:unauthorized"],
    [410, ""],
  ])("is a refusal with status %d and type %s", async (status, type) => {
    const problem = json({ type, detail: "no such certificate" }, { status });
    expect(["transient", "limit"]).not.toContain((await refused(problem)).disposition);
  });
});

describe("a failure that may pass", () => {
  it.each([500, 502, 503, 504, 408, 429])("is status %d", async (status) => {
    expect(await refused({ status })).toMatchObject({ disposition: "transient" });
  });

  it.each([429, 503])("is status %d with the time to come back", async (status) => {
    const at = Math.ceil(Date.now() / 1_000) * 1_000 + 3_600_000;
    const headers = { "retry-after": new Date(at).toUTCString() };
    const error = await refused({ status, headers });
    expect(error.retryAt).toBe(at);
    expect(["transient", "limit"]).toContain(error.disposition);
  });

  it.each<[string, Script]>([
    ["no answer in time", () => undefined],
    [
      "a connection cut off",
      (request) => {
        request.socket.destroy();
        return undefined;
      },
    ],
    [
      "an answer cut off half way",
      (request, response) => {
        response.writeHead(200, { "content-type": "application/json", "content-length": "1000" });
        response.write("{", () => request.socket.destroy());
        return undefined;
      },
    ],
  ])("is %s", async (_, script) => {
    const { ask } = await ca(script);
    await expect(ask()).rejects.toMatchObject({ code: "ca_unreachable", disposition: "transient" });
  });

  it("is a CA that nothing listens for", async () => {
    const { server, ask } = await ca(() => json(windowed()));
    await server.stop();
    opened.pop();
    await expect(ask()).rejects.toMatchObject({ code: "ca_unreachable", disposition: "transient" });
  });
});

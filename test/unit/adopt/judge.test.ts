import { describe, expect, it } from "vitest";
import { caOf } from "../../../src/adopt/cas.ts";
import { type Candidate, chooseOne } from "../../../src/adopt/choose.ts";
import { judge } from "../../../src/adopt/judge.ts";
import { leafFor, specFor } from "../../../src/adopt/record.ts";
import { warningsFor } from "../../../src/adopt/warnings.ts";
import { type CertificateRecord, DEFAULTS } from "../../../src/core/certificate.ts";
import { exemptionOf } from "../../../src/limits/buckets.ts";
import { certificateFile } from "../../../src/store/files.ts";
import { makeLimits } from "../../support/limits.ts";
import { makeSpec } from "../../support/specs.ts";

const DAY = 86_400_000;
const NOW = Date.UTC(2027, 0, 1);
const CAS = [
  { name: "first", directory: "https://first.example/dir" },
  { name: "second", directory: "https://second.example/dir" },
];

/** `age`: days since it was made; it is valid for 90. */
function candidate(age: number, more: Partial<Candidate> = {}): Candidate {
  const notBefore = NOW - age * DAY;
  return {
    entry: "a.example",
    id: "a.example",
    names: ["a.example"],
    keyType: "ec256",
    challenge: "http-01",
    leaf: { notBefore, notAfter: notBefore + 90 * DAY, renewAt: notBefore + 60 * DAY, serial: `0${age}` },
    ...more,
  };
}

function ours(age: number | undefined, more: Partial<CertificateRecord> = {}): CertificateRecord {
  const leaf = age === undefined ? undefined : { ...candidate(age).leaf, issuer: "CA", generation: 3 };
  return {
    id: "a.example",
    spec: makeSpec("a.example"),
    status: "issued",
    attempts: 0,
    generation: 3,
    acceptedAt: NOW,
    ...(leaf ? { leaf } : {}),
    ...more,
  };
}

describe("what is here already", () => {
  it("stays where it is the same, or as new", () => {
    expect(judge(candidate(10), ours(10), undefined, false).kind).toBe("there");
    expect(judge(candidate(10), ours(5), undefined, true).kind).toBe("there");
  });

  it("stays though it is older, unless it is forced", () => {
    expect(judge(candidate(5), ours(10), undefined, false).kind).toBe("kept");
    expect(judge(candidate(5), ours(10), undefined, true)).toMatchObject({ kind: "adopt", over: {} });
  });

  it("takes the certificate where all it had was a failure", () => {
    const failed = ours(undefined, { status: "attention" });
    expect(judge(candidate(5), failed, undefined, false)).toEqual({ kind: "adopt", over: failed });
    const waiting = ours(undefined, { status: "waiting", reason: "retry" });
    expect(judge(candidate(5), waiting, undefined, false).kind).toBe("adopt");
  });

  it("is in the files alone after a crash, and goes into the index", () => {
    const file = certificateFile(ours(5));
    expect(judge(candidate(5), undefined, file, false)).toEqual({ kind: "index", file });
    expect(judge(candidate(10), undefined, file, false).kind).toBe("there");
    expect(judge(candidate(1), undefined, file, false).kind).toBe("adopt");
  });

  it.each<[string, Partial<CertificateRecord>]>([
    ["queued", { status: "queued" }],
    ["finalizing", { status: "finalizing" }],
    ["waiting for a limit", { status: "waiting", reason: "limit" }],
    ["deploying", { status: "deploying" }],
    ["paused", { status: "paused" }],
    ["removed", { status: "removed" }],
  ])("is not touched while it is %s", (_, more) => {
    expect(() => judge(candidate(5), ours(10, more), undefined, true)).toThrow(
      expect.objectContaining({ code: "adopt_busy" }),
    );
  });

  it("is not replaced by one for other names", () => {
    const wider = candidate(5, { names: ["a.example", "www.a.example"] });
    expect(() => judge(wider, ours(10), undefined, true)).toThrow(
      expect.objectContaining({ code: "adopt_other_names" }),
    );
  });
});

describe("several with one first name", () => {
  const rsa = (age: number) => candidate(age, { entry: "rsa", keyType: "rsa2048" });
  const ec = (age: number) => candidate(age, { entry: "ec" });

  it("it is the elliptic curve where both are renewed", () => {
    expect(chooseOne([rsa(5), ec(20)], NOW)?.entry).toBe("ec");
  });

  it("it is the newer where one is renewed no more", () => {
    expect(chooseOne([rsa(5), ec(70)], NOW)?.entry).toBe("rsa");
    expect(chooseOne([rsa(70), ec(5)], NOW)?.entry).toBe("ec");
  });

  it("it is the newer of the same kind, in whatever order", () => {
    const [old, young] = [candidate(20, { entry: "old" }), candidate(5, { entry: "young" })];
    expect(chooseOne([old, young], NOW)?.entry).toBe("young");
    expect(chooseOne([young, old], NOW)?.entry).toBe("young");
  });
});

describe("the record of what is taken over", () => {
  const examined = {
    id: "a.example",
    names: ["a.example"],
    keyType: "rsa2048" as const,
    leaf: { ...candidate(10).leaf, issuer: "CA" },
    leafPem: "",
    issuersPem: "",
    keyPem: "",
  };
  const { vipPort, acmePort, priority } = DEFAULTS;
  const template = { vipPort, acmePort, priority };

  it("asks its own CA again where that is not the first one, in that CA's profile", () => {
    const found = { challenge: "http-01", profile: "tlsserver" } as const;
    const spec = (directory: string) => specFor(examined, found, caOf(directory, CAS), template);
    expect(spec("https://second.example/dir/")).toMatchObject({ ca: "second", profile: "tlsserver" });
    expect(spec("https://first.example/dir").ca).toBeUndefined();
    expect(spec("https://other.example/dir").profile).toBeUndefined();
  });

  it("wants dns-01 for a wildcard, whatever it was validated by", () => {
    const wildcard = { ...examined, names: ["*.a.example", "a.example"] };
    expect(specFor(wildcard, { challenge: "http-01" }, undefined, template).challenge).toBe("dns-01");
  });

  it("is exempt at the CA that it is from, and at no other", () => {
    const leaf = leafFor(examined, { first: false }, caOf("https://second.example/dir", CAS), 1, NOW);
    const limits = makeLimits({ renewalsExempt: true });
    expect(exemptionOf(["a.example"], leaf, "second", limits, NOW)).toBe("renewal");
    expect(exemptionOf(["a.example"], leaf, "first", limits, NOW)).toBe("none");
    expect(exemptionOf(["b.example"], leaf, "second", limits, NOW)).toBe("none");
  });

  it("was obtained when the client says, if that can be", () => {
    const { notBefore } = examined.leaf;
    const at = (told: number | undefined, now = NOW) =>
      leafFor(examined, { first: true, ...(told === undefined ? {} : { issuedAt: told }) }, undefined, 1, now)
        .issuedAt;
    expect(at(notBefore + 5_000)).toBe(notBefore + 5_000);
    expect(at(notBefore + 30 * DAY)).toBe(notBefore + 3_600_000);
    expect(at(undefined)).toBe(notBefore + 3_600_000);
    expect(at(undefined, notBefore + 10)).toBe(notBefore + 10);
  });

  it("counts for the CA's limits as a renewal, unless it seems to be the first", () => {
    expect(leafFor(examined, { first: true }, undefined, 1, NOW).exempt).toBeUndefined();
    expect(leafFor(examined, { first: false }, undefined, 1, NOW).exempt).toBe(true);
  });
});

describe("what will be different at the renewal", () => {
  const by = { ca: "first", dnsProviders: [{ zones: ["a.example"] }] };
  const warnings = (found: Parameters<typeof warningsFor>[1], more: object = {}) => {
    const examined = { names: ["a.example"], keyType: "ec256" as const, ...more };
    return warningsFor(examined, found, caOf(found.directory, CAS), by);
  };
  const codes = (...args: Parameters<typeof warnings>) => warnings(...args).map(({ code }) => code);

  it("is nothing where all is configured", () => {
    const directory = "https://second.example/dir";
    expect(codes({ challenge: "http-01", validatedBy: "webroot", directory })).toEqual([]);
    expect(codes({ challenge: "dns-01", validatedBy: "dns_cf", directory })).toEqual([]);
  });

  it("is the CA, with how to stay there", () => {
    const directory = "https://acme-v02.api.letsencrypt.org/directory";
    const [warning] = warnings({ challenge: "http-01", directory });
    expect(warning?.code).toBe("ca_not_configured");
    expect(warning?.sentence).toContain(`{ name: letsencrypt, directory: "${directory}" }`);
    expect(codes({ challenge: "http-01" })).toEqual(["ca_not_told"]);
  });

  it("is the hook of dns-01 where one of its zones has no provider", () => {
    const found = {
      challenge: "dns-01",
      validatedBy: "dns_cf",
      directory: "https://first.example/dir",
    } as const;
    expect(codes(found, { names: ["*.a.example", "b.example"] })).toEqual(["dns_provider_needed"]);
    expect(warnings(found, { names: ["b.example"] })[0]?.sentence).toContain("dns_cf");
  });

  it("is tls-alpn-01, or the type of key", () => {
    const directory = "https://first.example/dir";
    expect(codes({ challenge: "http-01", validatedBy: "alpn", directory })).toEqual(["other_validation"]);
    expect(codes({ challenge: "http-01", directory }, { oddKey: "EC on secp521r1" })).toEqual([
      "key_type_changes",
    ]);
  });
});

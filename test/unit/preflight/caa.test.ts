import { describe, expect, it } from "vitest";
import { type CaaQuestion, type CaaRecord, caaFault, relevantSet } from "../../../src/preflight/caa.ts";
import { caaVerdict } from "../../../src/preflight/judge.ts";

const ACCOUNT = "https://acme.example/acct/1";
const question: CaaQuestion = {
  wildcard: false,
  identities: ["letsencrypt.org"],
  method: "http-01",
  accountUri: ACCOUNT,
};

/** Records as a zone file has them: `128 issue "ca.example"`. */
function records(...lines: string[]): CaaRecord[] {
  return lines.map((line) => {
    const [, flags = "0", tag = "", value = ""] = /^(\d+) (\S+) "(.*)"$/.exec(line) ?? [];
    return { flags: Number(flags), tag, value };
  });
}

function fault(lines: string[], changes: Partial<CaaQuestion> = {}) {
  return caaFault({ owner: "example.com", records: records(...lines) }, { ...question, ...changes });
}

describe("a CAA set lets the CA issue", () => {
  it.each([
    ['0 issue "letsencrypt.org"'],
    ['0 ISSUE " letsencrypt.org ;"'],
    ['0 issue "letsencrypt.org; validationmethods=dns-01,http-01"'],
    [`0 issue "letsencrypt.org; accounturi=${ACCOUNT}"`],
    [`0 issue "letsencrypt.org;accounturi = ${ACCOUNT}; validationmethods=http-01"`],
    ['0 issue "letsencrypt.org; unknown=1"'],
    ['0 iodef "mailto:a@example.com"'],
    ['128 iodef "mailto:a@example.com"'],
    ['0 unknown "1"'],
    ['0 issuewild "other.example"'],
  ])("with %s alone", (line) => {
    expect(fault([line])).toBeUndefined();
  });

  it("when one of several records does", () => {
    expect(fault(['0 issue ";"', '0 issue "other.example"', '0 issue "letsencrypt.org"'])).toBeUndefined();
  });

  it("when issuewild names it, for a wildcard", () => {
    expect(fault(['0 issue ";"', '0 issuewild "letsencrypt.org"'], { wildcard: true })).toBeUndefined();
  });

  it("when its account is not known yet", () => {
    expect(fault([`0 issue "letsencrypt.org; accounturi=x"`], { accountUri: undefined })).toBeUndefined();
  });

  it("when the CA's names are not known, unless it forbids all", () => {
    expect(fault(['0 issue "other.example"'], { identities: [] })).toBeUndefined();
    expect(fault(['0 issue ";"'], { identities: [] })?.grant).toBe("0 issue with the name of the CA");
  });
});

describe("a CAA set forbids the CA to issue", () => {
  it.each([
    ['0 issue ";"', '0 issue "letsencrypt.org"'],
    ['0 issue ""', '0 issue "letsencrypt.org"'],
    ['0 issue "other.example"', '0 issue "letsencrypt.org"'],
    ['0 issue "LetsEncrypt.org"', '0 issue "letsencrypt.org"'],
    ['0 issue "letsencrypt.org; nonsense"', '0 issue "letsencrypt.org"'],
    [
      '0 issue "letsencrypt.org; validationmethods=dns-01"',
      '0 issue "letsencrypt.org; validationmethods=http-01"',
    ],
    ['0 issue "letsencrypt.org; accounturi=x"', `0 issue "letsencrypt.org; accounturi=${ACCOUNT}"`],
    [
      `0 issue "letsencrypt.org; accounturi=${ACCOUNT}; accounturi=${ACCOUNT}"`,
      `0 issue "letsencrypt.org; accounturi=${ACCOUNT}"`,
    ],
  ])("with %s; %s would mend it", (line, grant) => {
    expect(fault([line])).toMatchObject({ grant, isToGo: false, today: line });
  });

  it("when issuewild does not name it, for a wildcard", () => {
    expect(fault(['0 issue "letsencrypt.org"', '0 issuewild ";"'], { wildcard: true })).toMatchObject({
      grant: '0 issuewild "letsencrypt.org"',
      today: '0 issuewild ";"',
    });
  });

  it.each([128, 1, 129])(
    "when it holds an unknown property with the flags %i, whatever else it says",
    (flags) => {
      expect(fault(['0 issue "letsencrypt.org"', `${flags} unknown "1"`])).toMatchObject({
        isToGo: true,
        today: `${flags} unknown "1"`,
      });
    },
  );
});

describe("the set that counts", () => {
  const tree: Record<string, string[]> = {
    "example.com": ['0 issue "a.example"'],
    "www.shop.example.com": ['0 issue "b.example"'],
  };
  async function find(name: string) {
    const asked: string[] = [];
    const set = await relevantSet(name, async (owner) => {
      asked.push(owner);
      return records(...(tree[owner] ?? []));
    });
    return { owner: set?.owner, asked };
  }

  it("is the name's own, and no parent is asked", async () => {
    expect(await find("www.shop.example.com")).toEqual({
      owner: "www.shop.example.com",
      asked: ["www.shop.example.com"],
    });
  });

  it("is the nearest parent's, for a wildcard as well", async () => {
    const expected = { owner: "example.com", asked: ["shop.example.com", "example.com"] };
    expect(await find("shop.example.com")).toEqual(expected);
    expect(await find("*.shop.example.com")).toEqual(expected);
  });

  it("is none when there is none up to the top", async () => {
    expect(await find("a.b.test")).toEqual({ owner: undefined, asked: ["a.b.test", "b.test", "test"] });
  });
});

describe("what the customer is told of CAA", () => {
  const other = {
    grant: '0 issue "letsencrypt.org"',
    isToGo: false,
    today: '0 issue "x.example"',
    why: "is so",
  };

  it("names the record to add, where the set stands", () => {
    expect(caaVerdict("www.example.com", "example.com", other)).toEqual({
      kind: "customer",
      detail: 'example.com CAA 0 issue "letsencrypt.org" is to be added; today it is 0 issue "x.example".',
      records: [
        {
          name: "example.com",
          type: "CAA",
          set: '0 issue "letsencrypt.org"',
          today: '0 issue "x.example"',
          why: "CAA of example.com is so",
        },
      ],
    });
  });

  it("names the record to remove", () => {
    const verdict = caaVerdict("example.com", "example.com", { ...other, isToGo: true, today: '128 x "1"' });
    expect(verdict).toMatchObject({
      detail: 'example.com CAA 128 x "1" is to be removed: it is so.',
      records: [{ set: undefined, today: '128 x "1"' }],
    });
  });

  it("names a record of the customer's own where it is a public suffix that forbids", () => {
    expect(caaVerdict("*.www.example.co.uk", "co.uk", other)).toMatchObject({
      detail:
        'example.co.uk CAA 0 issue "letsencrypt.org" is to be added; today there is none, and CAA of co.uk is so.',
      records: [{ name: "example.co.uk", today: "none" }],
    });
  });
});

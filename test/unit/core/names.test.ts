import { describe, expect, it } from "vitest";
import { checkHost, checkName, registeredDomain } from "../../../src/core/names.ts";

const label63 = "a".repeat(63);
/** 253 characters: three labels of 63, one of 61, three dots. */
const longest = `${label63}.${label63}.${label63}.${"b".repeat(61)}`;

describe("checkName takes", () => {
  it.each([
    ["www.example.com", "www.example.com"],
    ["  WWW.Example.COM  ", "www.example.com"],
    ["www.example.com.", "www.example.com"],
    ["a.example", "a.example"],
    ["github.io", "github.io"],
    ["1.example", "1.example"],
    ["1-2.3com.example", "1-2.3com.example"],
    ["a.1b", "a.1b"],
    ["abc--d.example", "abc--d.example"],
    ["müller.de", "xn--mller-kva.de"],
    ["MÜLLER.DE", "xn--mller-kva.de"],
    ["mu\u0308ller.de", "xn--mller-kva.de"],
    ["XN--MLLER-KVA.de", "xn--mller-kva.de"],
    ["straße.de", "xn--strae-oqa.de"],
    ["例え.テスト", "xn--r8jz45g.xn--zckzah"],
    ["www。example。com", "www.example.com"],
    ["ｗｗｗ.example.com", "www.example.com"],
    ["пример.рф.", "xn--e1afmkfd.xn--p1ai"],
    [`${label63}.example`, `${label63}.example`],
    [longest, longest],
    ["a.b.c.d.e.f.g.h.i.example", "a.b.c.d.e.f.g.h.i.example"],
  ])("%j", (raw, name) => {
    expect(checkName(raw)).toEqual({ ok: true, name, wildcard: false });
  });

  it.each([
    ["*.example.com", "*.example.com"],
    ["*.MÜLLER.de", "*.xn--mller-kva.de"],
    ["*.github.io", "*.github.io"],
    ["*.a.b.c.d.e.f.g.h.example", "*.a.b.c.d.e.f.g.h.example"],
  ])("the wildcard %j", (raw, name) => {
    expect(checkName(raw)).toEqual({ ok: true, name, wildcard: true });
  });
});

describe("checkName refuses", () => {
  it.each([
    ["", /empty/],
    ["   ", /empty/],
    [".", /empty/],
    ["192.0.2.1", /IP address/],
    ["192.0.2.1:443", /IP address/],
    ["192.0.2.0/24", /IP address/],
    ["http://192.0.2.1/", /IP address/],
    ["2001:db8::1", /IP address/],
    ["[2001:db8::1]", /IP address/],
    ["[2001:db8::1]:443", /IP address/],
    ["::ffff:192.0.2.1", /IP address/],
    ["1.2.3", /number/],
    ["0x7f.1", /number/],
    ["www.example.0x1F", /number/],
    ["www.example.443", /number/],
    ["443", /number/],
    ["１.２.３.４", /IP address/],
    ["ü.0x7f", /number/],
    ["https://foo.example", /URL.*bare name, foo\.example$/],
    ["HTTPS://Foo.Example:8443/path?q#f", /URL.*bare name, foo\.example$/],
    ["https://user:secret@foo.example/", /URL.*bare name, foo\.example$/],
    ["https://", /URL.*such as/],
    ["foo.example/path", /path.*bare name, foo\.example$/],
    ["foo.example:443", /port.*bare name, foo\.example$/],
    ["me@foo.example", /mail address.*bare name, foo\.example$/],
    ["foo_bar.example", /underscore/],
    ["_acme-challenge.example.com", /underscore/],
    ["foo bar.example", /space or a control/],
    ["foo\u00a0bar.example", /space or a control/],
    ["foo\nbar.example", /space or a control/],
    ["foo\u0000.example", /space or a control/],
    ["foo\u202e.example", /letters that no domain name/],
    ["foo\ufffd.example", /UTF-8/],
    ["foo%2eexample.com", /character "%"/],
    ["foo,example.com", /character ","/],
    ["foo'.example", /character "'"/],
    ['"foo.example', /character """/],
    ["foo＿bar.example", /only letters/],
    ["＊.example.com", /only letters/],
    [`${label63}a.example`, /64 characters: 63/],
    [`${longest}b`, /254 characters: 253/],
    [`*.${longest}`, /255 characters: 253/],
    [`${"ü".repeat(60)}.example`, /66 characters: 63/],
    ["a".repeat(70_000), /253 are the most/],
    ["a:1".repeat(30_000), /253 are the most/],
    ["a..example", /dot too many/],
    [".a.example", /dot too many/],
    ["a.example..", /dot too many/],
    ["ü..example", /dot too many/],
    ["-a.example", /hyphen/],
    ["a-.example", /hyphen/],
    ["a.-ü.example", /starts or ends with a hyphen/],
    ["ab--ü.example", /hyphens third and fourth/],
    ["ab--c.example", /hyphens third and fourth/],
    ["ab--c.ü.example", /hyphens third and fourth/],
    ["xn--a.example", /xn--a is not valid Punycode/],
    ["xn--.example", /hyphen/],
    ["xn--99999999.example", /Punycode/],
    ["localhost", /no dot/],
    ["com", /no dot/],
    ["co.uk", /public suffix.*example\.co\.uk$/],
    ["kawasaki.jp", /public suffix/],
    ["公司.cn", /public suffix/],
    ["a.b.c.d.e.f.g.h.i.j.example", /11 parts/],
    ["*.a.b.c.d.e.f.g.h.i.example", /11 parts/],
    ["*", /whole first part/],
    ["*.", /whole first part/],
    ["*.*.example.com", /whole first part/],
    ["www.*.example.com", /whole first part/],
    ["w*.example.com", /whole first part/],
    ["*w.example.com", /whole first part/],
    ["**.example.com", /whole first part/],
    ["*.co.uk", /public suffix/],
    ["*.com", /public suffix/],
    ["*.localhost", /no dot/],
    ["*.192.0.2.1", /IP address/],
  ])("%j", (raw, reason) => {
    const checked = checkName(raw);
    expect(checked.ok).toBe(false);
    expect(checked.ok ? "" : checked.reason).toMatch(reason);
    expect(checked.ok ? "" : checked.reason).not.toMatch(/[\r\n]/);
  });
});

it("gives names that it takes again as they are, whatever went in", () => {
  const letters = [..."abcxn--..*09_ü。\u0308ß😀 %:/@[]\u200d\u00adＡא"];
  let seed = 7;
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((seed / 2_147_483_648) * below);
  };
  let taken = 0;
  for (let i = 0; i < 20_000; i++) {
    const raw = Array.from({ length: 1 + random(14) }, () => letters[random(letters.length)]).join("");
    const checked = checkName(raw);
    if (!checked.ok) continue;
    taken++;
    expect(checked.name).toMatch(/^(\*\.)?([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]+$/);
    expect(checkName(checked.name)).toEqual(checked);
  }
  expect(taken).toBeGreaterThan(100);
});

it("checks well over 100,000 plain names a second", () => {
  const names = Array.from({ length: 50_000 }, (_, i) => `www${i}.customer-${i}.co.uk`);
  const start = performance.now();
  for (const name of names) checkName(name);
  expect(performance.now() - start).toBeLessThan(500);
});

describe("checkHost", () => {
  it.each([
    ["localhost", "localhost"],
    ["Relay.Example.com.", "relay.example.com"],
    ["co.uk", "co.uk"],
    ["bücher.example", "xn--bcher-kva.example"],
  ])("takes %j", (raw, host) => expect(checkHost(raw)).toEqual({ ok: true, host }));

  it.each(["", "*.example.com", "my_relay", "192.0.2.1", "1.2", "mail:25", "a b", "-a", "http://a"])(
    "refuses %j",
    (raw) => expect(checkHost(raw).ok).toBe(false),
  );
});

it.each([
  ["www.example.com", "example.com"],
  ["a.b.example.co.uk", "example.co.uk"],
  ["*.example.co.uk", "example.co.uk"],
  ["customer.github.io", "customer.github.io"],
  ["www.customer.github.io", "customer.github.io"],
  ["github.io", "github.io"],
  ["a.b.example", "b.example"],
  ["xn--mller-kva.de", "xn--mller-kva.de"],
])("the registered domain of %s is %s", (name, domain) => {
  expect(registeredDomain(name)).toBe(domain);
});

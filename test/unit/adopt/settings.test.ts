import { describe, expect, it } from "vitest";
import { listOf, parseRenewalConf } from "../../../src/adopt/renewal-conf.ts";
import { parseSettings } from "../../../src/adopt/settings.ts";

describe("acme.sh's settings", () => {
  it("are told without their quotes, whichever those are", () => {
    const settings = parseSettings(
      `Le_Domain='a.example'\nCERT_HOME="/etc/acme"\nexport X=plain\n#Le_Alt='no'\n`,
    );
    expect([...settings]).toEqual([
      ["Le_Domain", "a.example"],
      ["CERT_HOME", "/etc/acme"],
      ["X", "plain"],
    ]);
  });

  it("are decoded where acme.sh has encoded them", () => {
    const encoded = Buffer.from(`systemctl reload 'nginx' && echo "done"`).toString("base64");
    const settings = parseSettings(`Le_ReloadCmd='__ACME_BASE64__START_${encoded}__ACME_BASE64__END_'`);
    expect(settings.get("Le_ReloadCmd")).toBe(`systemctl reload 'nginx' && echo "done"`);
  });

  it("are those that stand last, and an empty one is none", () => {
    const settings = parseSettings("A='1'\r\nA='2'\r\nB='1'\r\nB=''\r\n");
    expect([...settings]).toEqual([["A", "2"]]);
  });

  it("are never expanded", () => {
    expect(parseSettings("A='$(touch /tmp/x)`id`'").get("A")).toBe("$(touch /tmp/x)`id`");
  });
});

describe("certbot's renewal file", () => {
  const conf = parseRenewalConf(`# a comment
version = 2.1.0
cert = /etc/letsencrypt/live/a.example/cert.pem
[renewalparams]
server = https://ca.example/dir
renew_hook = "logger 'x'"
manual_auth_hook = 'curl -d "{\\"a\\"=1}" http://x'
[[webroot_map]]
server = /var/www
`);

  it("tells its files and what it was asked for apart, and deeper sections from both", () => {
    expect(conf.files.get("cert")).toBe("/etc/letsencrypt/live/a.example/cert.pem");
    expect(conf.files.has("server")).toBe(false);
    expect(conf.params.get("server")).toBe("https://ca.example/dir");
  });

  it("loses the quotes around a value, and nothing else", () => {
    expect(conf.params.get("renew_hook")).toBe("logger 'x'");
    expect(conf.params.get("manual_auth_hook")).toBe(`curl -d "{\\"a\\"=1}" http://x`);
  });

  it("has lists that may end in a comma", () => {
    expect(listOf("dns-01,")).toEqual(["dns-01"]);
    expect(listOf(undefined)).toEqual([]);
  });
});

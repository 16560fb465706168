import { describe, expect, it } from "vitest";
import { KNOWN_CAS } from "../../../src/acme/cas.ts";
import { mostNames, namesFault, profileFault } from "../../../src/acme/profiles.ts";

const offering = (...names: string[]) => ({
  profiles: new Map(names.map((name) => [name, `about ${name}`])),
});

describe("a profile", () => {
  it("that the CA offers is right", () => {
    expect(profileFault({ name: "ca" }, "tlsserver", offering("classic", "tlsserver"))).toBeUndefined();
  });

  it("that it does not offer needs a person, who is told which there are", () => {
    expect(profileFault({ name: "ca" }, "tlserver", offering("classic", "tlsserver"))).toMatchObject({
      code: "profile_unknown",
      disposition: "attention",
      message: expect.stringMatching(/^ca offers no profile "tlserver": it offers classic, tlsserver\./),
    });
  });

  it.each([
    ["knows none", { profiles: undefined }],
    ["offers none", offering()],
  ])("cannot be asked for where the CA %s", (_, facts) => {
    expect(profileFault({ name: "ca" }, "classic", facts)?.message).toContain("it has none");
  });

  it("of Let's Encrypt may take fewer names; of others nothing is known", () => {
    const { directory = "" } = KNOWN_CAS.letsencrypt ?? {};
    expect(mostNames(directory, "tlsserver")).toBe(25);
    expect(mostNames(directory, "shortlived")).toBe(25);
    expect(mostNames(directory, "classic")).toBe(100);
    expect(mostNames(directory, "unheard-of")).toBeUndefined();
    expect(mostNames("https://ca.example/dir", "tlsserver")).toBeUndefined();
  });

  it("of Let's Encrypt that takes 25 names is not ordered for 26", () => {
    const ca = { name: "letsencrypt", directory: KNOWN_CAS.letsencrypt?.directory ?? "" };
    expect(namesFault(ca, "shortlived", 25)).toBeUndefined();
    expect(namesFault(ca, "classic", 100)).toBeUndefined();
    expect(namesFault(ca, "shortlived", 26)).toMatchObject({
      code: "profile_names",
      disposition: "attention",
      message: expect.stringContaining("at most 25 names"),
    });
  });
});

import { FormData } from "undici";
import type { Bundle } from "../../target.ts";
import { type ApplianceClient, misconfigured } from "./client.ts";
import { textOf, wordsOf } from "./words.ts";

const PAGE = "/lbadmin/config/sslcert.php";
const UPLOADED = "SSL Certificate uploaded successfully";
/** The box in which its pages tell how it went, and as much of the page as is looked at from there. */
const MESSAGE = /<div[^>]*class="[^"]*\bmessage\b[^"]*"[^>]*>([\s\S]{0,1000})/i;
/** Labels in one deletion: they stand in the request's line, of which web servers take 8,190 bytes. */
const DELETED_AT_ONCE = 20;

/**
 * Certificates are uploaded and deleted as the web interface does it, for the API has no action for either. Each answer
 * is a page made for people.
 */
export class CertificatePages {
  readonly #client: ApplianceClient;

  constructor(client: ApplianceClient) {
    this.#client = client;
  }

  /** Undefined where it was taken, or has been there already; else why not, in the appliance's words. */
  async upload(label: string, { keyPem, leafPem, issuersPem }: Bundle): Promise<string | undefined> {
    const body = new FormData();
    const pem = new Blob([keyPem, leafPem, issuersPem], { type: "application/x-pem-file" });
    body.set("ssl_upload_file", pem, `${label}.pem`);
    const query = new URLSearchParams({
      action: "newcert",
      cert_action: "upload",
      upload_type: "pem",
      label,
    });
    const { text } = await this.#client.post(`${PAGE}?${query}`, body);
    if (text.includes(UPLOADED)) return undefined;
    const message = MESSAGE.exec(text)?.[1];
    // A page that tells nothing (the one to log in, say) is not about this certificate.
    if (message === undefined)
      throw misconfigured(
        `The appliance at ${this.#client.host} did not take an upload, and shows another page: ${wordsOf(textOf(text)) || "an empty one"}. Look whether its user may upload certificates.`,
      );
    const words = wordsOf(textOf(message));
    // A label is never used for two certificates, so what is there is this one.
    return /\balready\b/i.test(words) ? undefined : words;
  }

  /** What the page answers is not documented: whether they are gone is told by the list alone. */
  async remove(labels: readonly string[]): Promise<void> {
    for (let from = 0; from < labels.length; from += DELETED_AT_ONCE) {
      const slice = labels.slice(from, from + DELETED_AT_ONCE);
      const names = slice.map((label, index): [string, string] => [`cert_name[${index}]`, label]);
      await this.#ask([["action", "remove"], ["filterunused", "all"], ...names]);
      await this.#ask([["action", "remove_confirm"], ["l", "e"], ...names]);
    }
  }

  async #ask(fields: [string, string][]): Promise<void> {
    await this.#client.post(`${PAGE}?${new URLSearchParams(fields)}`, "");
  }
}

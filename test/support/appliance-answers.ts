/** How the stand-in for the appliance answers: its API v2, and the page for certificates of its web interface. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { createSecureContext } from "node:tls";
import type { Asked, Fault, State } from "./appliance-state.ts";

export const VIP = "VIP_443";
const SERVICES = ["web"];
export const USER = "loadbalancer";
export const PASSWORD = "p:ss wörd";
export const API_KEY = "eP68pvSMM8dvn051LL4d35569d438ue0";

/** A request as a whole goes wrong. */
class Broken extends Error {
  readonly how: Fault["how"];
  constructor(how: Fault["how"]) {
    super(how);
    this.how = how;
  }
}

const RESULTS: readonly string[] = ["failed", "fatal", "missing", "exists"];

export async function answer(
  state: State,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  const isCut = state.cut !== undefined && state.cut.left-- <= 0;
  if (isCut && !(state.cut?.lost && state.cut.left === -1)) return void response.destroy();
  try {
    const url = new URL(request.url ?? "", "https://appliance");
    const basic = Buffer.from(`${USER}:${PASSWORD}`).toString("base64");
    if (request.method !== "POST" || request.headers.authorization !== `Basic ${basic}`)
      throw new Broken("key");
    const text =
      url.pathname === "/api/v2/"
        ? api(state, request, body)
        : url.pathname === "/lbadmin/config/sslcert.php"
          ? await page(state, url.searchParams, request, body)
          : undefined;
    if (isCut) response.destroy();
    else response.writeHead(text === undefined ? 404 : 200).end(text);
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    goWrong(error.how, response);
  }
}

function goWrong(how: Fault["how"], response: ServerResponse): void {
  if (how === "key")
    response
      .writeHead(401, { "www-authenticate": 'Basic realm="API"' })
      .end('{"lbapi":[{"apikey":"failed"}]}');
  else if (how === "500") response.writeHead(500).end("<h1>Internal Server Error</h1>");
  else if (how === "no json") response.writeHead(200).end("<br />Fatal error: Allowed memory size exhausted");
  else if (how === "empty") response.writeHead(200).end();
  else if (how === "login")
    response.writeHead(200).end("<html><body><form>Please log in</form></body></html>");
  else if (how === "close") response.destroy();
}

function api(state: State, { headers }: IncomingMessage, body: Buffer): string {
  if (headers.x_lb_apikey !== Buffer.from(API_KEY).toString("base64")) throw new Broken("key");
  const { lbcli } = JSON.parse(body.toString()) as { lbcli: Record<string, string>[] };
  const results = lbcli.map((action) => ({ action: action.action, ...perform(state, action) }));
  return JSON.stringify({ lbapi: results.map((result) => ({ itteration: [{ lbcli: [result] }] })) });
}

type Outcome = { status: string } & Record<string, unknown>;

function perform(state: State, action: Record<string, string>): Outcome {
  const asked = askedBy(action);
  if (asked === undefined) return { status: "failed", message: "Unknown action" };
  const about = action.sni_name ?? "";
  state.steps.push(asked === "reload" ? (action.action ?? "") : `${asked} ${about}`.trim());
  const fault = state.fault(asked, about);
  if (fault === "hidden") return { status: "success", type: "certificate", certificate: [] };
  if (fault && !RESULTS.includes(fault)) throw new Broken(fault);
  if (fault) return { status: fault, message: `it was made to say ${fault}` };
  if (asked === "list") {
    const certificate = [...state.labels.keys()].map((label) => ({ label, file: certFile(label) }));
    return { status: "success", type: "certificate", certificate };
  }
  if (asked === "dump") return { status: "success", stunnel: { virtual: [{ label: VIP, port: "443" }] } };
  if (asked === "reload")
    return state.reload()
      ? { status: "success" }
      : { status: "failed", message: "stunnel: a file is missing" };
  return sni(state, asked, action);
}

function askedBy({
  action = "",
  type,
  function: what,
  sni: verb,
}: Record<string, string>): Asked | undefined {
  if (/^re(load|start)-(stunnel|haproxy)$/.test(action)) return "reload";
  if (action === "list" && what === "dumpconfig") return "dump";
  if (action !== "termination") return undefined;
  if (type === "certificate" && what === "list") return "list";
  if (type !== "stunnel" || what !== "edit") return undefined;
  return verb === "add" || verb === "edit" || verb === "delete" ? verb : undefined;
}

function sni({ entries, labels }: State, verb: string, action: Record<string, string>): Outcome {
  const { vip, sni_name: name = "", sni_rule: rule = "", sni_cert: cert = "" } = action;
  if (vip !== VIP) return { status: "missing", message: `VIP ${vip} does not exist` };
  const service = action.sni_backend_service;
  if (verb === "delete") return { status: entries.delete(name) ? "success" : "missing" };
  if (verb === "add" && entries.has(name)) return { status: "exists" };
  if (verb === "edit" && !entries.has(name)) return { status: "missing" };
  if (!labels.has(cert)) return { status: "failed", message: `Certificate ${cert} does not exist` };
  if (service !== undefined && !SERVICES.includes(service))
    return { status: "failed", message: "no such service" };
  const backend = service ?? `${action.sni_backend_ip}:${action.sni_backend_port}`;
  entries.set(name, { rule, cert, backend });
  return { status: "success" };
}

/** The page of the web interface: it says how it went in a box, between much else. */
async function page(
  state: State,
  query: URLSearchParams,
  request: IncomingMessage,
  body: Buffer,
): Promise<string> {
  const action = query.get("action");
  const doomed = [...query].filter(([key]) => /^cert_name\[\d+\]$/.test(key)).map(([, label]) => label);
  const asked = action === "newcert" ? "upload" : "remove";
  const about = asked === "upload" ? (query.get("label") ?? "") : doomed.join(" ");
  if (action !== "remove") state.steps.push(`${asked} ${about}`);
  const fault = state.fault(asked, about);
  if (fault === "failed") return box("error", "The certificate can&nbsp;not be read &amp; used");
  if (fault) throw new Broken(fault);
  if (action === "remove") {
    state.doomed = new Set(doomed);
    return box("question", "Are you sure?");
  }
  if (action === "remove_confirm") {
    for (const label of doomed) if (state.doomed.delete(label)) state.labels.delete(label);
    return box("information", "SSL Certificate removed");
  }
  if (query.get("cert_action") !== "upload" || query.get("upload_type") !== "pem")
    return box("error", "What?");
  return await upload(state, about, request, body);
}

async function upload(state: State, label: string, request: IncomingMessage, body: Buffer): Promise<string> {
  const type = request.headers["content-type"] ?? "";
  const form = await new Response(new Uint8Array(body), { headers: { "content-type": type } }).formData();
  const file = form.get("ssl_upload_file");
  if (!(file instanceof Blob)) return box("error", "No file was uploaded");
  if (!/^[A-Za-z0-9._-]{1,240}$/.test(label)) return box("error", "The label is not valid");
  if (state.labels.has(label)) return box("error", "A certificate with this label already exists");
  const pem = await file.text();
  try {
    createSecureContext({ key: pem, cert: pem });
  } catch {
    return box("error", "The certificate and its key do not match");
  }
  state.labels.set(label, pem);
  return box("information", "SSL Certificate uploaded successfully");
}

function box(kind: string, text: string): string {
  return `<html><head><style>.message { color: red }</style></head><body><h1>SSL</h1>
<div class="${kind} message"><div class="icon"></div><div class="text">${text}</div></div></body></html>`;
}

function certFile(label: string): string {
  return `/etc/loadbalancer.org/certs/${label}/${label}.pem`;
}

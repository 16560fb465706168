// A Fastify route that answers with about as much as a page of certificates, and does nothing else.
import { fastify } from "fastify";

const page = {
  certificates: Array.from({ length: 100 }, (_, n) => ({
    name: `host${n}.customer${n}.example`,
    names: [`host${n}.customer${n}.example`],
    status: "issued",
    attempts: 0,
    notBefore: "2026-08-28T13:15:01Z",
    notAfter: "2026-11-26T13:15:00Z",
    issuer: "Test E7",
    serial: "10000000",
    renewAt: "2026-10-27T08:11:40Z",
    nodes: [],
  })),
};
const app = fastify({ logger: false });
app.get("/", async () => page);
await app.listen({ host: "127.0.0.1", port: Number(process.argv[2]) });

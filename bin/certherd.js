#!/usr/bin/env node
// Files are synced and keys are made in libuv's threads; its own four are few for thousands of certificates.
process.env.UV_THREADPOOL_SIZE ??= "8";

const { main } = await import("../dist/src/cli/main.js");
process.exitCode = await main(process.argv.slice(2));

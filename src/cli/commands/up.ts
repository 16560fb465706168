import type { Command } from "commander";

export function upCommand(program: Command): void {
  program
    .command("up")
    .summary("run everything")
    .description(
      "Issues, deploys, renews, answers challenges, sends mail and serves the HTTP API, until SIGTERM or Ctrl-C.",
    )
    .addHelpText(
      "after",
      `
Without REDIS_URL a private Redis with an append-only file runs under $CERTHERD_HOME.
Examples:
  CERTHERD_HOME=/var/lib/certherd CERTHERD_ACCOUNT_EMAIL=ops@example.com certherd up
  CERTHERD_CA=letsencrypt-staging certherd up      try it without touching the real limits`,
    )
    .action(async () => {
      const { runProcess, stderrLog } = await import("../../runtime/process.ts");
      await runProcess(["respond", "notify", "deploy", "issue", "renew"], {
        // Those who read must not slow those who issue.
        apart: ["api"],
        started: ({ config }) =>
          stderrLog(
            `certherd is up on ${config.node}: ${config.cas.map((ca) => ca.name).join(", ")}; files in ${config.home}.`,
          ),
      });
    });
}

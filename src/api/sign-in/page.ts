export interface SignInPage {
  /** Where to go on. */
  next: string;
  /** Why it was refused. */
  error?: string;
  /** The browser came from another site, and so sent no cookie of ours: it is to ask once more, by itself. */
  again?: boolean;
}

/** The sign-in, which needs no script. */
export function signInPage({ next, error, again = false }: SignInPage): string {
  const fault =
    error === undefined ? "" : `<p class="error" id="fault" role="alert">${escaped(error)}</p>\n      `;
  const described = error === undefined ? "how" : "fault how";
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <meta name="robots" content="noindex">${again ? '\n    <meta http-equiv="refresh" content="0">' : ""}
    <title>Sign in – Certherd</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="/sign-in.css">
  </head>
  <body>
    <main>
      <h1>Certherd</h1>
      <form method="post" action="/sign-in">
      <label for="token">Token</label>
      ${fault}<input id="token" name="token" type="password" autocomplete="current-password" required autofocus
        aria-describedby="${described}"${error === undefined ? "" : ' aria-invalid="true"'}>
      <input type="hidden" name="next" value="${escaped(next)}">
      <button type="submit">Sign in</button>
      <p class="how" id="how">The token made at the first start is in <code>$CERTHERD_HOME/api-token</code>, on the
        host that Certherd runs on. Others are made by whoever configures it: <code>tokens</code> in the
        configuration file, or <code>CERTHERD_API_TOKEN</code>.</p>
      </form>
    </main>
  </body>
</html>
`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}

/** Light and dark, each with a contrast of 4.5 and more (WCAG 2.2 §1.4.3), and 3 for the edges of the field (§1.4.11). */
export const SIGN_IN_CSS = `:root {
  color-scheme: light dark;
  --page: #f7f8f8; --card: #ffffff; --text: #172023; --quiet: #4f5e62; --edge: #707e80;
  --accent: #1f6553; --on-accent: #ffffff; --error: #b3261e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14181a; --card: #1c2225; --text: #e8eded; --quiet: #a9b6ba; --edge: #7d8b91;
    --accent: #6cc5ab; --on-accent: #0d1f1a; --error: #ff9c93;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
main { width: min(24rem, 100% - 2rem); margin: 12vh auto 2rem; }
h1 { margin: 0 0 1rem; font-size: 1.5rem; }
form { padding: 1.5rem; border-radius: .5rem; background: var(--card); }
label { display: block; margin-bottom: .25rem; font-weight: 600; }
input[type=password] {
  width: 100%; min-height: 2.75rem; padding: .5rem .75rem; font: inherit;
  border: 1px solid var(--edge); border-radius: .25rem; background: var(--page); color: inherit;
}
input[aria-invalid] { border-color: var(--error); }
button {
  width: 100%; min-height: 2.75rem; margin-top: 1rem; font: inherit; font-weight: 600; cursor: pointer;
  border: 0; border-radius: .25rem; background: var(--accent); color: var(--on-accent);
}
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.error { margin: 0 0 .5rem; color: var(--error); }
.how { margin: 1rem 0 0; font-size: .875rem; color: var(--quiet); overflow-wrap: anywhere; }
`;

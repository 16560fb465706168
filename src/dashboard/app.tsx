import type { ComponentType } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Link, Route, Switch, useLocation } from "wouter-preact";
import type { Session } from "../api/schemas/session.ts";
import { SessionContext, signOut } from "./data/session.tsx";
import { useData } from "./data/use-data.ts";
import icon from "./icon.svg";
import { Empty, Loading, ProblemNotice } from "./ui/parts.tsx";
import { ThemePicker } from "./ui/theme.tsx";

type Page = ComponentType<{ params: Record<string, string | undefined> }>;

/** Each page is a file of its own, fetched when it is first looked at. The first path that fits is taken. */
const PAGES: readonly { path: string; title: string; load: () => Promise<Page> }[] = [
  { path: "/", title: "Overview", load: async () => (await import("./pages/overview.tsx")).OverviewPage },
  {
    path: "/certificates",
    title: "Certificates",
    load: async () => (await import("./pages/certificates.tsx")).CertificatesPage,
  },
  {
    path: "/certificates/:name",
    title: "Certificate",
    load: async () => (await import("./pages/certificate.tsx")).CertificatePage,
  },
  { path: "/imports", title: "Imports", load: async () => (await import("./pages/imports.tsx")).ImportsPage },
  {
    path: "/imports/new",
    title: "New import",
    load: async () => (await import("./pages/wizard.tsx")).WizardPage,
  },
  {
    path: "/imports/:id",
    title: "Import",
    load: async () => (await import("./pages/import.tsx")).ImportPage,
  },
  { path: "/limits", title: "Limits", load: async () => (await import("./pages/limits.tsx")).LimitsPage },
  { path: "/audit", title: "Audit", load: async () => (await import("./pages/audit.tsx")).AuditPage },
];

const NAVIGATION = [
  ["/", "Overview"],
  ["/certificates", "Certificates"],
  ["/imports", "Imports"],
  ["/limits", "Limits"],
] as const;

export function App() {
  const { data: session, problem } = useData<Session>("/v1/session");
  if (!session)
    return <main>{problem ? <ProblemNotice problem={problem} /> : <Loading what="The dashboard" />}</main>;
  return (
    <SessionContext.Provider value={session}>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <Header session={session} />
      <Pages />
      <footer class="foot">
        <span>Certherd {session.version}</span>
        <a href="/docs">API</a>
        <span>Certificates from {session.ca.join(", then ")}</span>
      </footer>
    </SessionContext.Provider>
  );
}

function Header({ session }: { session: Session }) {
  const [at] = useLocation();
  const isAdmin = session.scopes.includes("admin");
  const here = (path: string): boolean => (path === "/" ? at === "/" : at.startsWith(path));
  return (
    <header class="top">
      <div class="top-inner">
        <Link href="/" class="brand">
          <img src={icon} alt="" />
          Certherd
        </Link>
        <nav class="nav" aria-label="Main">
          {[...NAVIGATION, ...(isAdmin ? [["/audit", "Audit"] as const] : [])].map(([path, label]) => (
            <Link key={path} href={path} aria-current={here(path) ? "page" : undefined}>
              {label}
            </Link>
          ))}
          <a href="/queues">Queues</a>
        </nav>
        <div class="who">
          <ThemePicker />
          <span class="small soft who-name">{session.name}</span>
          {session.expiresAt !== null && (
            <button type="button" class="button quiet small" onClick={() => void signOut()}>
              Sign out
            </button>
          )}
        </div>
      </div>
    </header>
  );
}

function Pages() {
  return (
    <Switch>
      {PAGES.map((page) => (
        <Route key={page.path} path={page.path}>
          {(params) => <Loaded page={page} params={params as Record<string, string | undefined>} />}
        </Route>
      ))}
      <Route>
        <main id="main">
          <Empty title="There is no such page.">
            <Link href="/">Back to the overview</Link>
          </Empty>
        </main>
      </Route>
    </Switch>
  );
}

function Loaded({
  page,
  params,
}: {
  page: (typeof PAGES)[number];
  params: Record<string, string | undefined>;
}) {
  const [Shown, setShown] = useState<Page>();
  const [failed, setFailed] = useState(false);
  const main = useRef<HTMLElement>(null);
  const subject = params.name ?? params.id;
  const [at] = useLocation();
  useEffect(() => {
    document.title = `${subject === undefined ? page.title : decodeURIComponent(subject)} · Certherd`;
  }, [page, subject]);
  useEffect(() => {
    let here = true;
    page.load().then(
      (loaded) => here && setShown(() => loaded),
      () => here && setFailed(true),
    );
    return () => {
      here = false;
    };
  }, [page]);
  useFocusOnArrival(main, at);
  return (
    <main id="main" ref={main} tabIndex={-1}>
      {failed && (
        <Empty title="This page could not be loaded.">
          Certherd may have been updated meanwhile: <a href={location.href}>load it anew</a>.
        </Empty>
      )}
      {Shown ? <Shown params={params} /> : !failed && <Loading what="The page" />}
    </main>
  );
}

/** A screen reader goes on at the new page, as it would if the browser had loaded it; not at the first one. */
function useFocusOnArrival(main: { current: HTMLElement | null }, at: string): void {
  const first = useRef(at);
  useEffect(() => {
    if (first.current === at) return;
    first.current = "";
    main.current?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, [main, at]);
}

import { Link } from "wouter-preact";
import type { CertificateDetail } from "../../api/schemas/certificates.ts";
import { useData } from "../data/use-data.ts";
import { Actions } from "../one/actions.tsx";
import { Chain, Leaf } from "../one/leaf.tsx";
import { NodesCard } from "../one/nodes.tsx";
import { Failures, History } from "../one/past.tsx";
import { Request } from "../one/request.tsx";
import { Wanted } from "../one/wanted.tsx";
import { Way } from "../one/way.tsx";
import { Loading, ProblemNotice } from "../ui/parts.tsx";
import { StatusBadge } from "../ui/status.tsx";

/** Milliseconds between two looks when nothing happens. */
const EVERY = 30_000;

/** All about one certificate. */
export function CertificatePage({ params }: { params: Record<string, string | undefined> }) {
  const name = params.name ?? "";
  const { data, problem, refresh } = useData<CertificateDetail>(
    `/v1/certificates/${encodeURIComponent(name)}`,
    { every: EVERY, on: (event) => event.name === name },
  );
  return (
    <>
      <p class="small">
        <Link href="/certificates">Certificates</Link>
      </p>
      <div class="head">
        <h1 class="name">{data?.name ?? name}</h1>
        {data && <StatusBadge status={data.status} reason={data.reason} />}
      </div>
      <ProblemNotice problem={problem} />
      {data ? <Shown one={data} refresh={refresh} /> : !problem && <Loading what="The certificate" />}
    </>
  );
}

function Shown({ one, refresh }: { one: CertificateDetail; refresh: () => void }) {
  return (
    <>
      <Actions one={one} onDone={refresh} />
      <Wanted one={one} />
      <Way one={one} />
      <div class="columns">
        <Leaf one={one} />
        <Request one={one} />
      </div>
      <NodesCard one={one} />
      <Failures one={one} />
      <Chain one={one} />
      <History one={one} />
    </>
  );
}

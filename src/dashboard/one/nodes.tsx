import type { CertificateDetail } from "../../api/schemas/certificates.ts";
import { Card, Time } from "../ui/parts.tsx";
import { Badge } from "../ui/status.tsx";
import { Table } from "../ui/table.tsx";

/** The nodes, and what each was seen to serve. */
export function NodesCard({ one: { nodes, serial } }: { one: CertificateDetail }) {
  if (nodes.length === 0) return null;
  return (
    <Card title="Nodes">
      <Table label="What each node serves" columns={["Node", "Serves", "Seen"]}>
        {nodes.map((node) => (
          <tr key={node.node}>
            <th scope="row">{node.node}</th>
            <td>
              {node.serving ? (
                <Badge tone="good">the newest</Badge>
              ) : (
                <Badge tone={node.owed === undefined ? "bad" : "wait"}>
                  {node.serial === undefined ? "not seen" : "another one"}
                </Badge>
              )}{" "}
              {node.serial !== undefined && node.serial !== serial && <code>{node.serial}</code>}
              {node.owed !== undefined && <p class="small soft">{node.owed}</p>}
            </td>
            <td>{node.seenAt !== undefined && <Time at={node.seenAt} />}</td>
          </tr>
        ))}
      </Table>
    </Card>
  );
}

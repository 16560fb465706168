/** How the routes are called and grouped in /openapi.json; a route whose schema says that itself is not here. */
export const TAGS = {
  certificates: "What there is, how it stands, and what may be done about it",
  imports: "CSVs, and what has become of them",
  limits: "What is used of the CAs' limits",
  events: "What happens, as it happens",
  audit: "Who has asked for what",
  session: "Who asks",
  health: "Whether it works",
  metrics: "For Prometheus",
} as const;
export type Tag = keyof typeof TAGS;

/** By method and URL, as the routes are registered. */
export const OPERATIONS: Readonly<Record<string, readonly [tag: Tag, operationId: string]>> = {
  "GET /v1/certificates": ["certificates", "listCertificates"],
  "POST /v1/certificates": ["certificates", "requestCertificate"],
  "GET /v1/certificates/:name": ["certificates", "getCertificate"],
  "DELETE /v1/certificates/:name": ["certificates", "removeCertificate"],
  "POST /v1/certificates/actions": ["certificates", "actOnCertificates"],
  "POST /v1/certificates/:name/renew": ["certificates", "renewCertificate"],
  "POST /v1/certificates/:name/retry": ["certificates", "retryCertificate"],
  "POST /v1/certificates/:name/pause": ["certificates", "pauseCertificate"],
  "POST /v1/certificates/:name/resume": ["certificates", "resumeCertificate"],
  "POST /v1/certificates/:name/revoke": ["certificates", "revokeCertificate"],
  "GET /v1/imports": ["imports", "listImports"],
  "POST /v1/imports": ["imports", "importCsv"],
  "GET /v1/imports/:id": ["imports", "getImport"],
  "GET /v1/imports/:id/progress": ["imports", "getImportProgress"],
  "GET /v1/imports/:id/report.csv": ["imports", "downloadImportReport"],
  "GET /v1/imports/:id/rejected.csv": ["imports", "downloadRejectedRows"],
  "GET /v1/imports/:id/customers.csv": ["imports", "downloadCustomerRecords"],
  "POST /v1/triage": ["imports", "triage"],
  "GET /v1/overview": ["certificates", "getOverview"],
  "GET /v1/limits": ["limits", "getLimits"],
  "GET /v1/events": ["events", "listenToEvents"],
  "GET /v1/audit": ["audit", "listAuditEntries"],
  "GET /v1/session": ["session", "getSession"],
  "DELETE /v1/session": ["session", "endSession"],
  "GET /healthz": ["health", "isAlive"],
  "GET /readyz": ["health", "isReady"],
  "GET /metrics": ["metrics", "getMetrics"],
};

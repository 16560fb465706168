export function CertificatesPage() {
  return <h1>certificates</h1>;
}

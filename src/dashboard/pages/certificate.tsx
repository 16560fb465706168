export function CertificatePage() {
  return <h1>certificate</h1>;
}

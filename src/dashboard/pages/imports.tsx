export function ImportsPage() {
  return <h1>imports</h1>;
}

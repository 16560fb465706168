export function WizardPage() {
  return <h1>wizard</h1>;
}

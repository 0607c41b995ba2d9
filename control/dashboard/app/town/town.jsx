export function Town() {
  return <h1 tabIndex={-1}>Town</h1>;
}

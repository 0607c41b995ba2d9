export function Start() {
  return <h1 tabIndex={-1}>Start</h1>;
}

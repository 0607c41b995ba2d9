export function Inbox() {
  return <h1 tabIndex={-1}>Inbox</h1>;
}

// The view of one agent: {id, query}.
export function AgentView({ id }) {
  return <h1 tabIndex={-1}>{id}</h1>;
}

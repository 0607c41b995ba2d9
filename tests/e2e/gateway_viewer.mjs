// A viewer of one agent over the gateway, for every WebSocket with the standard interface: npm's and a browser's.

// Subscribes to the agent from its first event on, and makes a call on each connection. When a connection ends, the
// next one begins with the resume ticket and continues after the last event. The function uses nothing from outside,
// because a browser gets its text.
export function openViewer(WebSocket, url, ticket, agent) {
  const viewer = { opened: 0, answered: 0, events: [], codes: [] };
  const connect = (given) => {
    const socket = new WebSocket(url, ['reeve.v1', `reeve.ticket.${given}`]);
    const send = (id, method, params) => socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    let resume;
    socket.onmessage = ({ data }) => {
      const { method, params, id, result } = JSON.parse(data);
      if (params?.type === 'gateway.ready') {
        viewer.opened += 1;
        resume = params.data.resume;
        const last = viewer.events.at(-1);
        send(1, 'events.subscribe', { agent, after: last ? `${last.epoch}-${last.seq}` : '0' });
        send(2, 'agents.get', { id: agent });
      } else if (method === 'event' && params.seq) {
        const { subscription, ...event } = params;
        viewer.events.push(event);
      } else if (id === 2 && result?.id === agent && socket.protocol === 'reeve.v1') {
        viewer.answered += 1;
      }
    };
    socket.onerror = () => {}; // onclose follows
    socket.onclose = ({ code }) => {
      viewer.codes.push(code);
      if (resume) connect(resume);
    };
  };
  connect(ticket);
  return viewer;
}

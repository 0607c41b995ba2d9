// Decides which agents the town shows, in which order and under which headings. It touches neither page nor daemon.

export const kFilters = [
  { key: 'all', name: 'All', takes: () => true },
  { key: 'waiting', name: 'Waiting', tone: 'wait', takes: (look) => look.key === 'waiting' },
  { key: 'failed', name: 'Failed', tone: 'bad', takes: (look) => look.tone === 'bad' },
  { key: 'active', name: 'Active', tone: 'run', takes: (look) => kActive.has(look.key) },
  { key: 'rest', name: 'At rest', tone: 'quiet', takes: (look) => kAtRest.has(look.key) },
];
const kActive = new Set(['running', 'starting', 'stopping', 'stalled', 'restarting']);
const kAtRest = new Set(['ready', 'asleep', 'stopped', 'done']);

export function countFilters(agents) {
  const counts = Object.fromEntries(kFilters.map(({ key }) => [key, 0]));
  for (const { look } of agents) for (const { key, takes } of kFilters) if (takes(look)) ++counts[key];
  return counts;
}

// All words of the search must occur in the agent's id, title, kind, state, labels, call or last line.
export function makeSearch(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return () => true;
  return (agent, live) => {
    const labels = Object.entries(agent.labels ?? {}).map(([key, value]) => `${key}:${value}`);
    const hay = [agent.id, agent.title, agent.kind, agent.look.label, agent.look.detail, ...labels, live?.call?.text, live?.last]
      .filter(Boolean)
      .join('\n')
      .toLowerCase();
    return words.every((word) => hay.includes(word));
  };
}

function compare(a, b) {
  return a.look.rank - b.look.rank || a.look.moment - b.look.moment || (a.id < b.id ? -1 : 1);
}

// By what agents can be grouped: nothing, their kind, or a label that one of them has.
export function groupings(agents) {
  const keys = new Set();
  for (const { labels } of agents) for (const key of Object.keys(labels ?? {})) keys.add(key);
  return ['', 'kind', ...[...keys].sort().map((key) => `label:${key}`)];
}

function groupOf(agent, grouping) {
  return grouping === 'kind' ? agent.kind : (agent.labels?.[grouping.slice('label:'.length)] ?? '');
}

// The rows of the list: {heading, count, waiting} or {agent, position}, where `position` counts the agents from 1.
export function rowsOf(agents, lives, { filter, search, grouping }) {
  const takes = kFilters.find(({ key }) => key === filter).takes;
  const matches = makeSearch(search);
  const shown = agents.filter((agent) => takes(agent.look) && matches(agent, lives.get(agent.id))).sort(compare);
  if (!grouping) return shown.map((agent, i) => ({ agent, position: i + 1 }));
  const groups = new Map(); // in the order of their most urgent agent; those without the label come last
  for (const agent of shown) {
    const group = groupOf(agent, grouping);
    groups.set(group, [...(groups.get(group) ?? []), agent]);
  }
  const named = [...groups].sort(([a], [b]) => (a === '') - (b === ''));
  let position = 0;
  return named.flatMap(([heading, members]) => [
    { heading, count: members.length, waiting: members.filter(({ look }) => look.key === 'waiting').length },
    ...members.map((agent) => ({ agent, position: ++position })),
  ]);
}

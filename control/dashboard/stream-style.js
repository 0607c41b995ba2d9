// The style of <agent-stream>. README.md lists its custom properties and parts.

let sheet;

// All elements of a page share it. A Content-Security-Policy for styles does not affect it.
export function styleSheet() {
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(kStyle);
  }
  return sheet;
}

const kStyle = `
:host {
  --bg: var(--agent-stream-bg, #fff);
  --fg: var(--agent-stream-fg, #1d2430);
  --muted: var(--agent-stream-muted, #667085);
  --border: var(--agent-stream-border, #e2e6ec);
  --surface: var(--agent-stream-surface, #f5f7f9);
  --accent: var(--agent-stream-accent, #2f6fdb);
  --ok: var(--agent-stream-ok, #1f8a4c);
  --warn: var(--agent-stream-warn, #a86400);
  --bad: var(--agent-stream-bad, #c5352f);
  --mono: var(--agent-stream-mono, ui-monospace, 'SF Mono', Menlo, 'DejaVu Sans Mono', monospace);
  --radius: var(--agent-stream-radius, 8px);
  color-scheme: light dark;
  display: flex;
  flex-direction: column;
  position: relative;
  min-height: 8em;
  overflow: hidden;
  background: var(--bg);
  color: var(--fg);
  font: 14px/1.5 var(--agent-stream-font, system-ui, sans-serif);
}
@media (prefers-color-scheme: dark) {
  :host {
    --bg: var(--agent-stream-bg, #14181f);
    --fg: var(--agent-stream-fg, #dfe4ec);
    --muted: var(--agent-stream-muted, #8d97a8);
    --border: var(--agent-stream-border, #2b323d);
    --surface: var(--agent-stream-surface, #1c222b);
    --accent: var(--agent-stream-accent, #6ea3ff);
    --ok: var(--agent-stream-ok, #4cc07f);
    --warn: var(--agent-stream-warn, #e0a23c);
    --bad: var(--agent-stream-bad, #ff7a72);
  }
}
:host([hidden]), [hidden] { display: none !important; }
.log { flex: 1; overflow-y: auto; padding: 12px 16px; min-height: 0; }
.log:focus-visible { outline: 2px solid var(--accent); outline-offset: -2px; }
.items { display: flex; flex-direction: column; gap: 8px; }
.item { min-width: 0; overflow-wrap: anywhere; flex: none; }
.agent-id { color: var(--accent); font: 600 11px var(--mono); margin-right: 8px; }
.words > .agent-id { margin: 0; }

.speech { white-space: pre-wrap; max-width: 80ch; }
.user.speech {
  align-self: flex-end; max-width: min(72ch, 85%); padding: 8px 12px; border-radius: 12px 12px 2px 12px;
  background: color-mix(in srgb, var(--accent) 14%, var(--bg));
}
.speech.open::after { content: '▍'; color: var(--accent); animation: blink 1s steps(2) infinite; }
@keyframes blink { 50% { opacity: 0; } }
@media (prefers-reduced-motion: reduce) { .speech.open::after { animation: none; } }

summary { cursor: pointer; }
.reasoning, .note { color: var(--muted); font-size: 13px; }
.reasoning .body { white-space: pre-wrap; border-left: 2px solid var(--border); margin: 4px 0 0 4px; padding-left: 12px; }

.card { border: 1px solid var(--border); border-radius: var(--radius); background: var(--surface); overflow: hidden; }
.card > summary { display: flex; align-items: center; gap: 8px; padding: 6px 12px; list-style: none; }
.card > summary::-webkit-details-marker { display: none; }
.card[open] > summary { border-bottom: 1px solid var(--border); }
.gist { flex: 1; min-width: 0; overflow: hidden; white-space: nowrap; text-overflow: ellipsis; color: var(--muted); }
.outcome { color: var(--muted); font-size: 12px; white-space: nowrap; }
.card > .title { padding: 8px 12px 0; font-weight: 600; }
.card > .agent-id { display: block; margin: 8px 12px 0; }
.card > pre { margin: 8px 12px; }
.dot { flex: none; width: 8px; height: 8px; border-radius: 50%; background: var(--muted); }
[data-outcome=running] .dot { background: var(--accent); }
[data-outcome=completed] .dot { background: var(--ok); }
[data-outcome=failed] .dot { background: var(--bad); }
[data-outcome=failed] .outcome { color: var(--bad); }

pre, code { font: 12.5px/1.5 var(--mono); }
pre { margin: 0; white-space: pre-wrap; overflow: auto; max-height: 24em; }
pre:empty, .failure:empty { display: none; }
pre.input { color: var(--muted); max-height: 12em; }
.item.output { max-height: none; padding: 8px 12px; border-radius: var(--radius); background: var(--surface); }
.stderr { color: var(--bad); }
.failure { color: var(--bad); padding: 4px 12px 8px; }

.approval, .elicitation { border-left: 3px solid var(--muted); }
[data-state=pending] { border-color: var(--warn); background: color-mix(in srgb, var(--warn) 8%, var(--bg)); }
[data-decision^=allow], [data-decision=accept] { border-left-color: var(--ok); }
[data-decision=deny], [data-decision=decline] { border-left-color: var(--bad); }
.buttons { display: flex; flex-wrap: wrap; gap: 8px; padding: 4px 12px 12px; }
.question { padding: 0 12px 4px; white-space: pre-wrap; }
.fields { display: grid; gap: 8px; padding: 4px 12px 8px; }
.fields label { display: grid; gap: 2px; font-size: 13px; color: var(--muted); }
.fields input:not([type=checkbox]), .fields select {
  font: inherit; padding: 4px 8px; color: var(--fg); background: var(--bg);
  border: 1px solid var(--border); border-radius: 6px;
}
.fields input[type=checkbox] { justify-self: start; }
button {
  font: inherit; font-size: 13px; padding: 4px 12px; cursor: pointer;
  color: var(--fg); background: var(--bg); border: 1px solid var(--border); border-radius: 6px;
}
button:hover:enabled { border-color: var(--accent); }
button:disabled { opacity: .5; cursor: default; }
button.allow_once, button.accept { background: var(--ok); border-color: var(--ok); color: var(--bg); font-weight: 600; }
button.deny, button.decline { color: var(--bad); }

.line { color: var(--muted); font-size: 12.5px; text-align: center; }
.rule { color: var(--muted); font-size: 12.5px; text-align: center; }
.rule > .words { display: flex; align-items: center; gap: 12px; }
.rule > .words::before, .rule > .words::after { content: ''; flex: 1; border-top: 1px solid var(--border); }
.rule.completed { color: var(--ok); }
.rule.failed { color: var(--bad); }
.rule.cancelled { color: var(--warn); }
.alert {
  padding: 6px 12px; border-radius: var(--radius); color: var(--bad);
  border: 1px solid currentColor; background: color-mix(in srgb, currentColor 8%, var(--bg));
}
.gap.alert { color: var(--warn); border-style: dashed; text-align: center; }
.plan ul { margin: 4px 12px 8px; padding: 0; list-style: none; }
.plan li::before { content: '○'; display: inline-block; width: 1.6em; color: var(--muted); }
.plan li[data-status=in_progress]::before { content: '◐'; color: var(--accent); }
.plan li[data-status=completed]::before { content: '●'; color: var(--ok); }
.plan li[data-status=completed] { color: var(--muted); }

.jump { position: absolute; right: 16px; bottom: 44px; border-radius: 99px; box-shadow: 0 2px 8px #0003; }
.status {
  display: flex; align-items: center; gap: 8px; padding: 4px 16px; min-height: 20px;
  border-top: 1px solid var(--border); color: var(--muted); font-size: 12.5px;
}
.status[data-state=live] .dot { background: var(--ok); }
:is(.status[data-state=connecting], .status[data-state=replaying]) .dot { background: var(--accent); }
.status[data-state=reconnecting] .dot { background: var(--warn); }
:is(.status[data-state=error], .status[data-state=replaced]) .dot { background: var(--bad); }
.status[data-state=error] { color: var(--bad); }
.retry { padding: 0 10px; }
`;

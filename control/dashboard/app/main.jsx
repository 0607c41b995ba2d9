// The dashboard's entry: signs in, connects, and shows the view of the address.

import './styles/tokens.css';
import './styles/base.css';
import './styles/shell.css';

import { render } from 'preact';

import { AgentView } from './agent/index.jsx';
import { connect, connection, signIn } from './connection.js';
import { Inbox } from './inbox/inbox.jsx';
import { route, takeCredential } from './router.js';
import { Shell } from './shell.jsx';
import { SignIn } from './signin/signin.jsx';
import { Start } from './start/start.jsx';
import { known, takeTown } from './town.js';
import { Town } from './town/town.jsx';

function App() {
  const { status } = connection.value;
  if (status === 'signed_out') return <SignIn />;
  return <Shell>{known.value ? <View /> : <p class="hint loading">Connecting…</p>}</Shell>;
}

function View() {
  const { view, id, query } = route.value;
  if (view === 'agent') return <AgentView key={id} id={id} query={query} />;
  if (view === 'inbox') return <Inbox />;
  if (view === 'start') return <Start key={query.get('like')} like={query.get('like') ?? undefined} />;
  return <Town />;
}

connect(takeCredential(), takeTown);
addEventListener('hashchange', () => {
  const credential = takeCredential();
  if (credential) signIn(credential);
});
render(<App />, document.getElementById('app'));

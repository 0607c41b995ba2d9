// The sign-in: by a token. A link with a token or a ticket needs no form (router.js).

import './signin.css';

import { useRef } from 'preact/hooks';

import { connection, signIn } from '../connection.js';

export function SignIn() {
  const token = useRef();
  const { reason } = connection.value;
  const submit = (event) => {
    event.preventDefault();
    const text = token.current.value.trim();
    if (text) signIn({ token: text });
  };
  return (
    <main class="signin">
      <form onSubmit={submit}>
        <img src="assets/icon.svg" alt="" width="44" height="44" />
        <h1>reeve</h1>
        <label for="token">Token</label>
        <input ref={token} id="token" type="password" autocomplete="off" spellcheck={false} autofocus required aria-describedby={reason ? 'why hint' : 'hint'} aria-invalid={reason ? 'true' : undefined} />
        {reason && (
          <p id="why" class="failure" role="alert">
            {reason}
          </p>
        )}
        <button class="primary">Sign in</button>
        <p id="hint" class="hint">
          On the daemon’s machine <code>reeve open</code> signs you in without a token. The token is in the file <code>token</code> of the
          daemon’s data folder, unless other tokens are configured. It stays in this tab.
        </p>
      </form>
    </main>
  );
}

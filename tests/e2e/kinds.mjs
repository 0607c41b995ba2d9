// The kinds of agent that are driven with their real programs, each on the mock model and in a home of its own. The
// programs are those pinned in agents/; REEVE_SKIP_AGENTS=1 leaves out what needs them.

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const programs = path.join(here, 'agents/node_modules');
// The native programs, not the wrappers around them: one process fewer, and signals arrive.
const claude = path.join(programs, '@anthropic-ai/claude-code-linux-x64/claude');
const codex = path.join(programs, '@openai/codex/vendor/x86_64-unknown-linux-musl/bin/codex');
const kilo = path.join(programs, '@kilocode/cli-linux-x64/bin/kilo');
const pi = path.join(programs, '@mariozechner/pi-coding-agent/dist/cli.js');

// `spec`: what of an agent's is its kind's: given its home, a folder made for it, and the mock model's port. The
// name of another model; the tool by which it asks a person, where it has one.
export const kinds = {
  claude: {
    program: claude,
    otherModel: 'mock-2',
    question: 'AskUserQuestion',
    spec: (home, port) => ({
      kind: 'claude',
      command: [claude],
      model: 'mock-1',
      env: {
        HOME: home,
        TMPDIR: folder(home, 'tmp'),
        CLAUDE_CONFIG_DIR: folder(home, 'claude'),
        ANTHROPIC_BASE_URL: `http://127.0.0.1:${port}`,
        ANTHROPIC_API_KEY: 'dummy',
        CLAUDE_CODE_MAX_RETRIES: '2',
      },
    }),
  },
  codex: {
    program: codex,
    otherModel: 'mock-2',
    question: 'request_user_input',
    spec: (home, port) => {
      const config = `
        model = "mock-1"
        model_provider = "mock"
        check_for_update_on_startup = false
        [features]
        default_mode_request_user_input = true
        [analytics]
        enabled = false
        [model_providers.mock]
        name = "Mock"
        base_url = "http://127.0.0.1:${port}/v1"
        env_key = "MOCK_API_KEY"
        wire_api = "responses"
        request_max_retries = 0
        stream_max_retries = 2`;
      writeFileSync(path.join(folder(home, 'codex'), 'config.toml'), config);
      return {
        kind: 'codex',
        command: [codex],
        env: { HOME: home, CODEX_HOME: folder(home, 'codex'), MOCK_API_KEY: 'dummy', RUST_LOG: 'error' },
      };
    },
  },
  kilo: {
    program: kilo,
    otherModel: 'mock/mock-2',
    question: 'question',
    spec: (home, port) => ({ kind: 'kilo', command: [kilo], env: kiloEnvironment(home, port) }),
  },
  acp: {
    program: kilo,
    otherModel: 'mock/mock-2',
    spec: (home, port) => ({ kind: 'acp', command: [kilo, 'acp'], env: kiloEnvironment(home, port) }),
  },
  pi: {
    program: pi,
    otherModel: 'mock/mock-2',
    spec: (home, port) => {
      const mock = {
        baseUrl: `http://127.0.0.1:${port}/v1`,
        api: 'openai-completions',
        apiKey: 'dummy',
        models: [{ id: 'mock-1' }, { id: 'mock-2' }],
      };
      writeFileSync(path.join(folder(home, 'pi'), 'models.json'), JSON.stringify({ providers: { mock } }));
      return {
        kind: 'pi',
        command: [process.execPath, pi],
        env: { HOME: home, PI_CODING_AGENT_DIR: folder(home, 'pi'), PI_OFFLINE: '1' },
      };
    },
  },
};

function kiloEnvironment(home, port) {
  const abilities = { tool_call: true, limit: { context: 128000, output: 8192 } };
  const config = {
    autoupdate: false,
    share: 'disabled',
    model: 'mock/mock-1',
    small_model: 'mock/mock-1',
    enabled_providers: ['mock'],
    provider: {
      mock: {
        npm: '@ai-sdk/openai-compatible',
        name: 'Mock',
        options: { baseURL: `http://127.0.0.1:${port}/v1`, apiKey: 'dummy' },
        models: { 'mock-1': { name: 'Mock 1', ...abilities }, 'mock-2': { name: 'Mock 2', ...abilities } },
      },
    },
    permission: { bash: 'ask', edit: 'ask' },
  };
  return {
    HOME: home,
    XDG_CONFIG_HOME: folder(home, 'config'),
    XDG_DATA_HOME: folder(home, 'data'),
    XDG_STATE_HOME: folder(home, 'state'),
    XDG_CACHE_HOME: folder(home, 'cache'),
    KILO_CONFIG_CONTENT: JSON.stringify(config),
    KILO_DISABLE_AUTOUPDATE: '1',
    KILO_DISABLE_MODELS_FETCH: '1',
    KILO_DISABLE_LSP_DOWNLOAD: '1',
    KILO_DISABLE_DEFAULT_PLUGINS: '1',
  };
}

function folder(...names) {
  const made = path.join(...names);
  mkdirSync(made, { recursive: true });
  return made;
}

// Why tests of this kind are to be skipped; false when they are not.
export function skipped(kind) {
  if (process.env.REEVE_SKIP_AGENTS) return 'REEVE_SKIP_AGENTS is set';
  return existsSync(kinds[kind].program) ? false : `${kind} is not installed: npm ci --prefix tests/e2e/agents`;
}

// Makes an agent of this kind in a folder below the daemon's; answers with its folder to work in.
export async function createAgent(daemon, kind, id, port, more = {}) {
  const home = folder(daemon.dir, 'homes', id);
  const cwd = folder(home, 'work');
  await daemon.call('POST', '/agents', { id, cwd, ...kinds[kind].spec(home, port), ...more });
  return cwd;
}

// A mock model of the test's own.
export class Model {
  static async start(t) {
    const model = new Model();
    const program = path.join(here, '../support/mock-llm.mjs');
    model.child = spawn(process.execPath, [program, '--port', '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = new Promise((resolve) => model.child.once('exit', resolve));
    t.after(() => {
      model.child.kill();
      return exited;
    });
    const line = await new Promise((resolve) => createInterface(model.child.stdout).once('line', resolve));
    model.port = JSON.parse(line).port;
    return model;
  }

  // The latest requests to the model with these words in the prompt.
  async requests(words) {
    const requests = await (await fetch(`http://127.0.0.1:${this.port}/requests`)).json();
    return requests.filter(({ prompt }) => prompt?.includes(words));
  }
}

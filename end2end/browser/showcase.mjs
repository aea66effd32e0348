// A server with something to see in every view.

import { changedSession, longest } from './changed.mjs';

const never = { permissionMode: 'PERMISSION_MODE_BYPASS_PERMISSIONS' };

const rich = [
  '!think The project is small, so I look at everything first.',
  '!say I **look** at the files first, then:\n\n1. write one\n2. change it\n\n```rust\nfn main() { println!("{}", 1 + 1); }\n```',
  '!todo [x] Look around; [~] Write a file; Run it',
  '!parallel', '!glob **/*', '!grep TODO', '!end',
  '!write notes.md # Notes\\n\\n- one\\n- two\\n',
  '!edit notes.md - two => - two and a half',
  '!bash seq 1 40; echo oops >&2; exit 3',
  '!read notes.md',
  '!todo [x] Look around; [x] Write a file; [x] Run it',
  '!say Done. See `notes.md` and a table:\n\n| a | b |\n|---|---|\n| 1 | 2 |',
].map((line) => line.replaceAll('\n', '\\n'));

/** A session in which each tool was used, and its workspace. */
export async function toldSession(server) {
  const workspace = await server.newWorkspace('Shop front', never);
  const session = await server.newSession(workspace);
  await server.send(session, ...rich);
  await server.turnEnds(session);
  return { workspace, session };
}

/** Fills the server, and answers the path of each view by name. */
export async function showcase(server) {
  const empty = await server.newWorkspace('An empty one');
  const { workspace: full, session: told } = await toldSession(server);
  const changed = await changedSession(server);
  const changes = `/workspaces/${changed.workspace}/changes`;
  const long = await server.newWorkspace(`A workspace with ${'a very long name '.repeat(4).trim()}`);
  const story = await server.newSession(full);
  await server.send(story, 'Show me around');
  const failed = await server.newSession(full);
  await server.send(failed, '!error 401 this key is not valid');
  await server.turnEnds(failed);
  const waiting = await server.newSession(long);
  await server.send(waiting, '!bash rm -rf build && cargo build --release --workspace --all-targets');
  await server.turnEnds(story);
  const fresh = await server.newSession(long);
  for (const [name, value] of [['registry-token', 'canary-of-a-registry'], ['door_code', '1234']]) {
    await server.rpc('SecretService/CreateSecret', { name, value });
  }
  return {
    'sign-in': '/sign-in',
    workspaces: '/',
    'new-workspace': '/workspaces/new',
    'workspace-empty': `/workspaces/${empty}`,
    workspace: `/workspaces/${full}`,
    'session-told': `/workspaces/${full}/sessions/${told}`,
    'session-story': `/workspaces/${full}/sessions/${story}`,
    'session-failed': `/workspaces/${full}/sessions/${failed}`,
    'session-waiting': `/workspaces/${long}/sessions/${waiting}`,
    'fresh-session': `/workspaces/${long}/sessions/${fresh}`,
    'changes-empty': `/workspaces/${empty}/changes`,
    changes,
    'change-set': `${changes}/${changed.set}`,
    'change-file': `${changes}/${changed.set}?file=src/steps.rs`,
    'change-split': `${changes}/${changed.set}?file=src/steps.rs&view=split`,
    'change-picture': `${changes}/${changed.set}?file=assets/logo.png`,
    'change-renamed': `${changes}/${changed.set}?file=src/manual.md`,
    'change-longest': `${changes}/${changed.set}?file=${encodeURIComponent(longest)}`,
    'changes-session': `/workspaces/${changed.workspace}/sessions/${changed.session}/changes`,
    settings: `/workspaces/${full}/settings`,
    account: '/account',
    secrets: '/account/secrets',
    missing: '/workspaces/00000000-0000-4000-8000-000000000000',
    nowhere: '/no/such/page',
  };
}

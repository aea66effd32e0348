// A workspace in which an agent changed files in every way that there is.

import { deflateSync, crc32 } from 'node:zlib';

const never = { permissionMode: 'PERMISSION_MODE_BYPASS_PERMISSIONS' };

export const hostile = {
  markup: '<img src=x onerror=alert(1)>.txt',
  turned: 'gpj\u202etxt.exe',
  broken: 'two\nlines.txt',
  percent: '100%25 + a&b=c?#.txt',
};

const deep = `${'a-directory-with-a-name-that-is-far-too-long-'.repeat(5)}/`.repeat(16);
export const longest = `${deep}and-its-file.txt`;

/** A picture of one colour. */
function png(red, green, blue, side = 96) {
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, sum]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(side, 0);
  head.writeUInt32BE(side, 4);
  head.set([8, 2, 0, 0, 0], 8);
  const row = Buffer.concat([Buffer.from([0]), Buffer.alloc(side * 3, Buffer.from([red, green, blue]))]);
  const pixels = deflateSync(Buffer.concat(Array(side).fill(row)));
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature, chunk('IHDR', head), chunk('IDAT', pixels), chunk('IEND', Buffer.alloc(0)),
  ]).toString('base64');
}

const quoted = (name) => `$'${name.replaceAll("'", "\\'").replaceAll('\n', '\\n')}'`;

const begin = [
  '!chunk-chars 5000', '!bash <<END',
  'mkdir -p src assets',
  "seq 1 90 | sed 's/.*/let step_& = measure(&, \"first\");/' > src/steps.rs",
  "seq 1 30 | sed 's/.*/A line of the guide, number &./' > src/guide.md",
  'echo bye > gone.txt',
  "printf '#!/bin/sh\\necho hi\\n' > run.sh",
  `echo ${png(29, 107, 92)} | base64 -d > assets/logo.png`,
  'END',
  '!say The files are there.',
];

const change = [
  '!read src/steps.rs',
  '!edit src/steps.rs let step_10 = measure(10, "first"); => let step_10 = measure(11, "second");',
  '!edit src/steps.rs let step_70 = measure(70, "first"); => let step_70 = measure(70, "first", true);\\nlet more = 1;',
  '!chunk-chars 5000', '!bash <<END',
  'mv src/guide.md src/manual.md',
  'rm gone.txt',
  'chmod +x run.sh',
  'head -c 3000 /dev/zero > assets/data.bin',
  `echo ${png(138, 83, 0)} | base64 -d > assets/logo.png`,
  'echo \'{"mcpServers": {}}\' > .mcp.json',
  'printf "no line end" > src/end.txt',
  ...Object.values(hostile).map((name) => `echo hostile > ${quoted(name)}`),
  `mkdir -p ${deep}`,
  `echo deep > ${longest}`,
  'END',
  '!say Done.',
];

/** The workspace, the session, and the change set of its second turn. */
export async function changedSession(server) {
  const workspace = await server.newWorkspace('Changes of all kinds', never);
  const session = await server.newSession(workspace);
  await server.send(session, ...begin);
  await server.turnEnds(session);
  await server.rpc('SessionService/UpdateSession', {
    session: { id: session, title: 'Measure the steps' }, updateMask: 'title',
  });
  await server.send(session, ...change);
  const events = await server.turnEnds(session, 2);
  const ended = events.findLast((event) => event.payload.turnEnded).payload.turnEnded;
  return { workspace, session, set: ended.changeSetId };
}

/** Has the agent work on in the session, and answers the change set of that turn. */
export async function work(server, session, ...lines) {
  const before = (await server.events(session)).filter((event) => event.payload.turnEnded).length;
  await server.send(session, ...lines);
  const events = await server.turnEnds(session, before + 1);
  return events.findLast((event) => event.payload.turnEnded).payload.turnEnded.changeSetId;
}

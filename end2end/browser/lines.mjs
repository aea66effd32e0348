// A reporter for node's test runner: a line for each test, the error of a failed one, and the sum.
// A test that is skipped or left to do has failed.

const isFile = (name) => name.endsWith('.test.mjs');

export default async function* lines(source) {
  let passed = 0;
  let failed = 0;
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    if (data.details?.type === 'suite') continue;
    const left = data.skip !== undefined || data.todo !== undefined;
    if (type === 'test:pass' && !left) {
      if (isFile(data.name)) continue;
      passed += 1;
      yield `ok ${data.name} (${(data.details.duration_ms / 1000).toFixed(1)} s)\n`;
      continue;
    }
    const error = data.details?.error;
    // The file's own failure repeats that of its tests.
    if (isFile(data.name) && error?.failureType === 'subtestsFailed') continue;
    failed += 1;
    const why = left ? 'skipped' : (error?.cause?.stack ?? error?.cause ?? error?.message ?? '');
    yield `FAILED ${data.name}\n${why}\n`;
  }
  if (passed === 0 && failed === 0) {
    failed = 1;
    yield 'FAILED no test was found\n';
  }
  yield `${passed} passed, ${failed} failed\n`;
}

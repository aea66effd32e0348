// The official TypeScript SDK against the scripted model: a turn with tools, and every error.

import assert from "node:assert/strict";

import Anthropic from "@anthropic-ai/sdk";

import { check, end, Scripted, text } from "./scripted.mjs";

const PEER = "node sdk";
const TOOLS = [
  {
    name: "Bash",
    description: "Runs a command.",
    input_schema: { type: "object", properties: { command: { type: "string" } } },
  },
];
const TURN = [
  {
    content: [
      { type: "thinking", thinking: "I look at both before I say anything." },
      { type: "text", text: "Let me look at it – in two places." },
      { type: "tool_use", name: "Bash", input: { command: "cargo build --offline" } },
      { type: "tool_use", name: "Bash", input: {} },
    ],
    usage: {
      input_tokens: 11,
      output_tokens: 22,
      cache_creation_input_tokens: 33,
      cache_read_input_tokens: 44,
    },
  },
  text("The command said {{last_tool_result}}."),
];
const ERRORS = [
  [400, Anthropic.BadRequestError, "invalid_request_error"],
  [401, Anthropic.AuthenticationError, "authentication_error"],
  [403, Anthropic.PermissionDeniedError, "permission_error"],
  [404, Anthropic.NotFoundError, "not_found_error"],
  [413, Anthropic.APIError, "request_too_large"],
  [429, Anthropic.RateLimitError, "rate_limit_error"],
  [500, Anthropic.InternalServerError, "api_error"],
  [529, Anthropic.InternalServerError, "overloaded_error"],
];

function client(server, settings = {}) {
  return new Anthropic({ apiKey: "scripted", baseURL: server.url, maxRetries: 0, logLevel: "off", ...settings });
}

function request(more = {}) {
  const messages = [{ role: "user", content: "hi" }];
  return { model: "scripted", max_tokens: 4096, messages, ...more };
}

function stream(server, more, settings) {
  return client(server, settings).messages.stream(request(more)).finalMessage();
}

async function raised(kind, promise) {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof kind, `${error.constructor.name}: ${error.message}`);
    return error;
  }
  assert.fail(`no ${kind.name} was thrown`);
}

function types(message) {
  return message.content.map((block) => block.type);
}

async function streamedTurn(server) {
  await server.play(...TURN);
  const settings = { tools: TOOLS, thinking: { type: "enabled", budget_tokens: 1024 } };
  const deltas = [];
  const running = client(server).messages.stream(request(settings));
  running.on("inputJson", (piece) => deltas.push(piece));
  const message = await running.finalMessage();
  assert.deepEqual(types(message), ["thinking", "text", "tool_use", "tool_use"]);
  assert.equal(message.content[1].text, "Let me look at it – in two places.");
  assert.deepEqual(message.content[2].input, { command: "cargo build --offline" });
  assert.deepEqual(message.content[3].input, {});
  assert.equal(message.stop_reason, "tool_use");
  assert.ok(message.content[0].signature);
  assert.ok(deltas.length > 3);
  assert.equal(message.usage.input_tokens, 11);
  assert.equal(message.usage.output_tokens, 22);
  assert.equal(message.usage.cache_creation_input_tokens, 33);
  assert.equal(message.usage.cache_read_input_tokens, 44);

  const calls = message.content.filter((block) => block.type === "tool_use");
  const results = calls.map((call) => ({
    type: "tool_result",
    tool_use_id: call.id,
    content: call.id.slice(0, 5),
  }));
  const messages = [
    { role: "user", content: "hi" },
    { role: "assistant", content: message.content },
    { role: "user", content: results },
  ];
  const last = await stream(server, { ...settings, messages });
  assert.equal(last.content[0].text, "The command said toolu.");
  assert.equal(last.stop_reason, "end_turn");
}

async function wholeMessage(server) {
  await server.play(...TURN);
  const message = await client(server).messages.create(request({ tools: TOOLS }));
  assert.deepEqual(types(message), ["thinking", "text", "tool_use", "tool_use"]);
  assert.equal(message.usage.cache_creation.ephemeral_5m_input_tokens, 33);
  assert.match(message._request_id, /^req_/);
}

async function statusError(server, status, kind, name, streaming) {
  await server.play({ error: { status, message: "because" } });
  const call = streaming ? stream(server) : client(server).messages.create(request());
  const error = await raised(kind, call);
  assert.equal(error.status, status);
  assert.deepEqual(error.error.error, { type: name, message: "because" });
  assert.equal(error.requestID, error.error.request_id);
  assert.equal((await server.requests()).length, 1);
}

async function retried(server, status) {
  const error = { status, headers: { "retry-after-ms": "5" } };
  await server.play({ error, times: 2 }, text("at last"));
  const message = await stream(server, {}, { maxRetries: 2 });
  assert.equal(message.content[0].text, "at last");
  const requests = await server.requests();
  const counts = requests.map((request) => request.headers["x-stainless-retry-count"]);
  assert.deepEqual(counts, ["0", "1", "2"]);
}

async function brokenStream(server, fault, kind) {
  await server.play({ ...text("a text of some length"), fault });
  return raised(kind, stream(server));
}

async function overloadedEvent(server) {
  const fault = { kind: "error", after: 4, error: { status: 529 } };
  const error = await brokenStream(server, fault, Anthropic.APIError);
  assert.equal(error.error.error.type, "overloaded_error");
}

async function earlyEnd(server) {
  const fault = { kind: "end", after: 4 };
  const error = await brokenStream(server, fault, Anthropic.AnthropicError);
  assert.match(error.message, /ended/);
}

async function refusals(server) {
  const call = { type: "tool_use", id: "toolu_1", name: "Bash", input: {} };
  const messages = [
    { role: "user", content: "hi" },
    { role: "assistant", content: [call] },
    { role: "user", content: "never mind" },
  ];
  await server.play(text("never"));
  const error = await raised(Anthropic.BadRequestError, stream(server, { messages }));
  assert.match(error.message, /without `tool_result` blocks immediately after: toolu_1/);
}

async function tokensAndModels(server) {
  const one = client(server);
  const counted = await one.messages.countTokens({ model: "scripted", messages: request().messages });
  assert.ok(counted.input_tokens > 1);
  const models = await one.models.list();
  assert.deepEqual(models.data.map((model) => model.id), ["scripted"]);
}

const server = await Scripted.start();
await check(PEER, "a streamed turn with thinking and parallel tools", () => streamedTurn(server));
await check(PEER, "a message that is not streamed", () => wholeMessage(server));
for (const [status, kind, name] of ERRORS) {
  for (const streaming of [false, true]) {
    const way = streaming ? "streamed" : "whole";
    const check_ = () => statusError(server, status, kind, name, streaming);
    await check(PEER, `${status} is ${kind.name} (${way})`, check_);
  }
}
for (const status of [429, 500, 529]) {
  await check(PEER, `${status} twice is retried until it answers`, () => retried(server, status));
}
await check(PEER, "a cut stream is an AnthropicError", () =>
  brokenStream(server, { kind: "cut", after: 4 }, Anthropic.AnthropicError),
);
await check(PEER, "a stream that ends early is an AnthropicError", () => earlyEnd(server));
await check(PEER, "malformed JSON in a stream is an AnthropicError", () =>
  brokenStream(server, { kind: "malformed", after: 4 }, Anthropic.AnthropicError),
);
await check(PEER, "an error event is an APIError", () => overloadedEvent(server));
await check(PEER, "an open tool call is BadRequestError", () => refusals(server));
await check(PEER, "tokens are counted and models listed", () => tokensAndModels(server));
await server.stop();
end();

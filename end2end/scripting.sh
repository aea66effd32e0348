#!/usr/bin/env bash
# A person with a shell and `buf curl`: no generated code, no schema at hand, only reflection. They
# create a workspace, import a zip, talk to the agent, watch, answer a permission, and interrupt.
#
# Needs bash, curl, jq, zip and python3; env as run.sh. Usually called by run.sh.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
require curl curl
require jq jq
require zip zip
require python3 python3
find_programs
buf=$here/node_modules/.bin/buf
require_file "$buf" "run npm ci in end2end"

work=$(mktemp -d)
trap 'stop_server; rm -rf "$work"' EXIT
mkdir "$work/data"
start_server "$work/data"
token=$("$E2E_MEMBRANE" token create --data-dir "$work/data" scripting 2>>"$work/data/serve.log")

# rpc <Service/Method> <JSON, or @- for several messages on standard input> [more flags]
rpc() {
    local method=$1 data=$2
    shift 2
    "$buf" curl --protocol grpc --http2-prior-knowledge "$@" \
        --header "authorization: Bearer $token" --data "$data" "$server_url/membrane.v1.$method"
}

# The value that a filter finds in an answer.
field() {
    jq --raw-output --exit-status "$1"
}

# Prints the first event after a sequence that matches, and stops watching.
first_event() {
    local stream=$1 after=$2 match=$3 cursors
    cursors=$(jq --null-input --compact-output --arg stream "$stream" --arg after "$after" \
        '{cursors: [{stream: $stream, afterSequence: $after}]}')
    jq --null-input --exit-status "first(inputs | .event // empty | select($match))" \
        < <(timeout 60 "$buf" curl --protocol grpc --http2-prior-knowledge \
            --header "authorization: Bearer $token" --data "$cursors" \
            "$server_url/membrane.v1.EventService/Watch" 2>"$work/watch.err")
}

send() {
    local request
    request=$(jq --null-input --arg session "$1" --arg text "$2" '{sessionId: $session, text: $text}')
    rpc SessionService/SendMessage "$request" | field .sequence
}

matches() {
    local value=$1 pattern=$2
    [[ $value =~ $pattern ]] || { echo "got: $value" >&2; false; }
}

knows_us() {
    local me
    me=$(rpc AccountService/GetMe '{}')
    matches "$(field .user.name <<<"$me")" '^admin$' &&
        matches "$(field .sandboxState <<<"$me")" '^SANDBOX_STATE_ENFORCED$'
}

lists_services() {
    "$buf" curl --protocol grpc --http2-prior-knowledge --list-services "$server_url" >"$work/services"
    grep --quiet --line-regexp membrane.v1.SessionService "$work/services" &&
        grep --quiet --line-regexp grpc.health.v1.Health "$work/services"
}

serves_health() {
    "$buf" curl --protocol grpc --http2-prior-knowledge --data '{}' \
        "$server_url/grpc.health.v1.Health/Check" | field '.status == "SERVING"' >/dev/null
}

speaks_grpc_web() {
    "$buf" curl --protocol grpcweb --header "authorization: Bearer $token" --data '{}' \
        "$server_url/membrane.v1.AccountService/GetMe" | field .serverVersion >/dev/null
}

creates_a_workspace_once() {
    local request first second
    request='{"name": "made twice", "requestId": "7c1e7a3e-2f9d-4df7-9a53-0f2f6f2f7c11"}'
    first=$(rpc WorkspaceService/CreateWorkspace "$request" | field .workspace.id)
    second=$(rpc WorkspaceService/CreateWorkspace "$request" | field .workspace.id)
    [[ $first == "$second" ]] &&
        rpc WorkspaceService/ListWorkspaces '{}' | field '.workspaces | length == 1' >/dev/null
}

imports_a_zip() {
    mkdir "$work/project"
    echo 'what the archive holds' >"$work/project/note.txt"
    (cd "$work/project" && zip --quiet --recurse-paths "$work/project.zip" .)
    jq --null-input --compact-output --rawfile chunk <(base64 --wrap=0 "$work/project.zip") \
        '{header: {name: "imported"}}, {chunk: $chunk}' |
        rpc WorkspaceService/ImportWorkspace @- >"$work/imported.json"
    workspace=$(field .workspace.id <"$work/imported.json")
    [[ $(field .fileCount <"$work/imported.json") == 1 ]]
}

answers_a_permission() {
    local after asked request answer
    session=$(rpc SessionService/CreateSession "{\"workspaceId\": \"$workspace\"}" | field .session.id)
    after=$(send "$session" $'!bash cat note.txt\n!say I have read it.')
    asked=$(first_event "sessions/$session" "$after" .payload.permissionRequested)
    request=$(field .payload.permissionRequested.permissionRequestId <<<"$asked")
    answer="{\"sessionId\": \"$session\", \"permissionRequestId\": \"$request\", \"decision\": \"PERMISSION_DECISION_ALLOW\"}"
    rpc SessionService/ResolvePermission "$answer" >/dev/null
    first_event "sessions/$session" "$after" .payload.turnEnded |
        field '.payload.turnEnded.outcome == "TURN_OUTCOME_COMPLETED"' >/dev/null
}

reads_the_log() {
    rpc EventService/ListEvents "{\"stream\": \"sessions/$session\"}" >"$work/log.json"
    field '[.events[].payload.toolResult.content[]?.text // empty] | any(contains("what the archive holds"))' \
        <"$work/log.json" >/dev/null &&
        field '[.events[].sequence | tonumber] == [range(1; (.events | length) + 1)]' <"$work/log.json" >/dev/null
}

interrupts() {
    local after asked request answer
    after=$(send "$session" '!bash sleep 600')
    asked=$(first_event "sessions/$session" "$after" .payload.permissionRequested)
    request=$(field .payload.permissionRequested.permissionRequestId <<<"$asked")
    answer="{\"sessionId\": \"$session\", \"permissionRequestId\": \"$request\", \"decision\": \"PERMISSION_DECISION_ALLOW\"}"
    rpc SessionService/ResolvePermission "$answer" >/dev/null
    first_event "sessions/$session" "$after" .payload.permissionResolved >/dev/null
    rpc SessionService/InterruptSession "{\"sessionId\": \"$session\"}" | field .interrupted >/dev/null
    first_event "sessions/$session" "$after" .payload.turnEnded |
        field '.payload.turnEnded.outcome == "TURN_OUTCOME_INTERRUPTED"' >/dev/null
}

brings_a_snapshot_back() {
    local id="\"workspaceId\": \"$workspace\"" snapshot trees changed
    snapshot=$(rpc SnapshotService/CreateSnapshot "{$id, \"title\": \"before\"}" | field .snapshot.id)
    rpc FileService/WriteFile "{$id, \"path\": \"note.txt\", \"content\": \"$(printf 'other' | base64)\"}" >/dev/null
    changed=$(rpc ChangeService/ListChanges "{$id, \"scope\": {\"snapshots\": {\"beforeId\": \"$snapshot\"}}}")
    field '[.changes[].path] == ["note.txt"]' <<<"$changed" >/dev/null
    rpc SnapshotService/RestoreSnapshot "{$id, \"snapshotId\": \"$snapshot\"}" | field .before.id >/dev/null
    trees=$server_url/workspaces/$workspace/snapshots
    curl --silent --fail --header "authorization: Bearer $token" "$trees/$snapshot/archive" >"$work/tree.zip"
    [[ $(unzip -p "$work/tree.zip" note.txt) == 'what the archive holds'* ]]
    curl --silent --fail --header "authorization: Bearer $token" --upload-file "$work/tree.zip" \
        "$trees/archive?title=sent" | field .snapshot_id >/dev/null
}

explains_an_error() {
    if rpc WorkspaceService/GetWorkspace '{"workspaceId": "00000000-0000-4000-8000-000000000000"}' 2>"$work/error.json"; then
        return 1
    fi
    field '.code == "not_found" and .details[0].type == "google.rpc.ErrorInfo"' <"$work/error.json" >/dev/null &&
        field '.details[0].value + "==" | @base64d | contains("NOT_FOUND") and contains("membrane")' \
            <"$work/error.json" >/dev/null
}

check "reflection lists the services" lists_services
check "the health service answers" serves_health
check "a token from the command line is an administrator's, and the sandbox is enforced" knows_us
check "the same methods answer over grpc-web" speaks_grpc_web
check "a repeated request id creates one workspace" creates_a_workspace_once
check "a zip is imported by streaming it" imports_a_zip
check "a turn waits for a permission and ends when it is given" answers_a_permission
check "the log has what the tool printed, numbered without a gap" reads_the_log
check "an interrupt ends a turn that would take ten minutes" interrupts
check "a snapshot is taken, brought back, fetched and sent" brings_a_snapshot_back
check "an error has a stable reason" explains_an_error
close_line

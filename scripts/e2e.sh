#!/usr/bin/env bash
# The live page and the web chat in a real Chromium: starts the built service with a store of its own, runs the tests of
# tests/e2e against it and stops it. Screenshots lie in tests/e2e/shots (or SHOTS). Build first: make build.
set -euo pipefail
cd "$(dirname "$0")/.."
program="${CARGO_TARGET_DIR:-target}/release/zhiyin"
[ -x "$program" ] || { echo "e2e: $program is missing; run: make build" >&2; exit 1; }

npm --prefix tests/e2e ci
npm --prefix tests/e2e run unit

folder=$(mktemp -d)
# A page of another site embeds the chat: its origin is on the list of the site's key.
chat_port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })')
site_key=site_e2e_0123456789
cat >"$folder/zhiyin.toml" <<EOF
[chat]
webhook_url = "sample"
[[chat.sites]]
key = "$site_key"
origins = ["http://127.0.0.1:$chat_port"]
EOF
"$program" --config "$folder/zhiyin.toml" serve --listen 127.0.0.1:0 --store "$folder/store" >"$folder/out" 2>"$folder/log" &
service=$!
stop() {
  kill "$service" 2>/dev/null || true
  wait "$service" 2>/dev/null || true
  rm -rf "$folder"
}
trap stop EXIT

# Both lines are printed when the service is ready.
for _ in $(seq 300); do
  address=$(sed -n 's|^zhiyin is ready on \(http://[^/]*\)/.*|\1|p' "$folder/out")
  token=$(sed -n 's|^development token (shown once): ||p' "$folder/out")
  [ -n "$address" ] && [ -n "$token" ] && break
  kill -0 "$service" 2>/dev/null || { echo "e2e: the service did not start:" >&2; cat "$folder/log" >&2; exit 1; }
  sleep 0.1
done
[ -n "$address" ] && [ -n "$token" ] || { echo "e2e: the service was not ready within 30 s" >&2; cat "$folder/log" >&2; exit 1; }

BASE_URL="$address" TOKEN="$token" SITE_KEY="$site_key" CHAT_PORT="$chat_port" npm --prefix tests/e2e run chat
BASE_URL="$address" TOKEN="$token" npm --prefix tests/e2e run live

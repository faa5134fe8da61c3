#!/usr/bin/env bash
# One question at a time: scripts/ask.sh "Where to in May?"
set -euo pipefail
jq -n --arg input "$1" '{model: "gpt-6-luna", input: $input}' |
  curl --silent --fail "$OPENAI_BASE_URL/responses" \
    --header "Authorization: Bearer $OPENAI_API_KEY" \
    --header 'Content-Type: application/json' --data @- |
  jq -r '.output[].content[]?.text'

#!/usr/bin/env bash
set -euo pipefail
: "${OPENAI_API_KEY:?set it first}"

while IFS= read -r comment; do
  jq -n --arg prompt "Label as praise or complaint: $comment" \
    '{model: "text-davinci-003", prompt: $prompt, max_tokens: 2}' |
    curl --silent --show-error https://api.openai.com/v1/completions \
      --header "Authorization: Bearer $OPENAI_API_KEY" \
      --header 'Content-Type: application/json' \
      --data @- |
    jq -r '.choices[0].text'
done

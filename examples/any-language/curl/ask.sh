#!/bin/sh
# Asks OpenAI with the key of the environment. It goes to curl on standard input: arguments can be read by everybody on the machine.
set -eu
printf 'header = "Authorization: Bearer %s"\n' "$OPENAI_API_KEY" |
  curl --silent --show-error --fail-with-body --config - \
    --header 'Content-Type: application/json' \
    --data '{"model": "gpt-6-luna", "messages": [{"role": "user", "content": "Say hello."}]}' \
    "${OPENAI_BASE_URL:-https://api.openai.com/v1}/chat/completions" > answer.json
echo "answered: $(wc -c < answer.json) bytes"
rm answer.json

#!/usr/bin/env bash
set -euo pipefail
stage=${1:?staging or production}
docker build --tag "newsletter:$stage" .
docker rm --force "newsletter-$stage" 2>/dev/null || true
docker run --detach --name "newsletter-$stage" --env-file "$stage.env" "newsletter:$stage"

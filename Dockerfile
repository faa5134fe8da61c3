# The image of Keyturn: Node, its libraries and the service; no shell, no package manager, nothing that is not needed to run.
#
#   docker build --build-arg BASE=docker.io/library/node:24-bookworm-slim@sha256:… --tag keyturn .
#
# docs/container.md says how to choose the base, what the image needs to run, and how it is checked.

# What it is built in, and whose Node and libraries it takes: Node 24 with npm on a glibc, named by digest. There is no
# default: a digest that stands here would be out of date, and a tag would be whatever it is on the day.
ARG BASE

FROM ${BASE} AS build
ARG BASE
RUN case "${BASE}" in \
      *@sha256:*) ;; \
      *) echo "BASE must end in a digest: --build-arg BASE=${BASE}@sha256:…" >&2; exit 1 ;; \
    esac
WORKDIR /keyturn
COPY package.json package-lock.json ./
# A registry of your own: --secret id=npmrc,src=$HOME/.npmrc. It is there while the command runs, and in no layer.
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json build.ts ./
COPY src src
RUN node build.ts

# Then only what it is installed with: its dependencies, and the SDKs of any of: aws google azure. Empty: none, for the other
# stores and the smallest image.
ARG CLOUDS="aws google azure"
COPY deploy/image deploy/image
RUN node deploy/image/production.ts ${CLOUDS}
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc npm prune --omit=dev --ignore-scripts --no-audit --no-fund
RUN npm sbom --sbom-format=cyclonedx > sbom.cdx.json

# And the file system of the image, as folders that become one layer each.
COPY LICENSE ./
COPY bin bin
RUN node deploy/image/assemble.ts /image

FROM scratch
ARG BASE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Keyturn" \
      org.opencontainers.image.description="Makes sure that an application always holds an OpenAI API key that works." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}" \
      keyturn.sbom="/opt/keyturn/sbom.cdx.json" \
      keyturn.sbom.format="CycloneDX"

COPY --from=build /image/runtime/ /
COPY --from=build /image/app/ /
COPY --from=build --chown=65532:65532 /image/state/ /var/lib/

# What a deployment changes by setting them again. Beyond this machine the service wants tls, or allowPlaintext.
ENV PATH=/usr/local/bin \
    NODE_ENV=production \
    HOME=/var/lib/keyturn \
    KEYTURN_HOME=/var/lib/keyturn \
    KEYTURN_CONFIG=/etc/keyturn/keyturn.yaml \
    KEYTURN_LISTEN=0.0.0.0:7420

# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
WORKDIR /var/lib/keyturn
VOLUME ["/var/lib/keyturn"]
EXPOSE 7420
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 CMD ["/usr/local/bin/node", "/opt/keyturn/healthcheck.js"]
ENTRYPOINT ["/usr/local/bin/keyturn"]
CMD ["serve"]

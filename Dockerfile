# All programs of mcp-fleet-operator in one image: `operator.mjs` by default, the command line as `mcp-fleet.mjs`.
#
# `make bundle` makes dist/ first: the bundles hold no native code, so that one of them serves every architecture without emulation.
# The base has no shell and no package manager; its entry point is node.
ARG BASE_IMAGE=gcr.io/distroless/nodejs24-debian13:nonroot
FROM ${BASE_IMAGE}

ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="mcp-fleet-operator" \
      org.opencontainers.image.description="Kubernetes operator that runs, guards and connects MCP servers" \
      org.opencontainers.image.source="https://github.com/mcp-fleet/mcp-fleet-operator" \
      org.opencontainers.image.documentation="https://github.com/mcp-fleet/mcp-fleet-operator/tree/main/docs" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

WORKDIR /app
COPY LICENSE dist/*.mjs dist/*.mjs.map ./

# The one native program: it runs stdio servers in their own images. `make image` builds it for every architecture.
ARG TARGETARCH
COPY --chmod=0755 dist/stdio-shim-${TARGETARCH} ./stdio-shim

# V8 sizes its heap from the container's limit instead of the machine's memory. A small young generation saves 25 MiB at 1,000 servers. The C library has
# one pool of memory for the few threads, and gives back what is free: 3 MiB of a guard at rest.
ENV NODE_ENV=production \
    MALLOC_ARENA_MAX=1 \
    MALLOC_TRIM_THRESHOLD_=131072 \
    NODE_OPTIONS="--enable-source-maps --max-old-space-size-percentage=70 --max-semi-space-size=4"

# nonroot of the base image; as numbers, so that the kubelet can check runAsNonRoot.
USER 65532:65532

# Probes and metrics.
EXPOSE 8081 8443

CMD ["/app/operator.mjs"]

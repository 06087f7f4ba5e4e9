# The platform's image: Node, the production dependencies, and what `npm pack` packs: what is built from the sources.

FROM node:24-trixie-slim AS package
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY build.js LICENSE README.md ARCHITECTURE.md CHANGELOG.md ./
COPY docs ./docs
COPY deploy ./deploy
COPY platform ./platform
COPY schemas ./schemas
COPY maps ./maps
COPY log ./log
COPY identity ./identity
COPY devices ./devices
COPY intake ./intake
COPY broker ./broker
COPY bridge ./bridge
COPY ingest ./ingest
COPY gateway ./gateway
COPY cli ./cli
COPY client ./client
COPY dashboard ./dashboard
RUN npm pack && tar --extract --no-same-owner --file telltale-*.tgz

FROM node:24-trixie-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Every dependency works without install scripts: their binaries are packages of their own, or lie in the package. The
# uWebSockets.js repack carries 250 MB of them for all systems; only the one that this Node loads is kept, and loaded
# once, so that a wrong name fails here and not at the first start.
RUN npm ci --omit=dev --ignore-scripts \
 && find node_modules/uWebSockets.js -name 'uws_*.node' \
      ! -name "uws_$(node -p 'process.platform + "_" + process.arch + "_" + process.versions.modules').node" -delete \
 && node -e 'for (const name of ["uWebSockets.js", "lmdb", "@duckdb/node-api"]) require(name)'

FROM node:24-trixie-slim
ENV NODE_ENV=production \
    TELLTALE_DATA_DIR=/data
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=package /app/package ./
# The data directory is made here, for a new named volume takes its owner and mode from the image.
RUN install --directory --owner=node --group=node --mode=0700 /data \
 && ln -s /app/cli/telltale.js /usr/local/bin/telltale
USER node
VOLUME /data
EXPOSE 1883 8080
# On SIGTERM the platform drains for up to 10 s: give it 15 (`docker stop --time 15`; the compose file does).
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "deploy/healthcheck.js", "http://127.0.0.1:8080/healthz"]
CMD ["telltale", "up"]

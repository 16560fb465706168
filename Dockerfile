# One image for `certherd up`, for each worker by itself, and for the commands. It has no Redis: give it REDIS_URL.
# A second target, `pebble`, is the test CA of the demo profile in docker-compose.yml.

FROM node:20-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Without scripts: `prepare` builds, and there is nothing to build yet.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/clean.js scripts/
COPY bin bin
COPY workers workers
COPY src src
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:20-bookworm-slim AS pebble
RUN apt-get update \
  && apt-get install -y --no-install-recommends openssl pebble \
  && rm -rf /var/lib/apt/lists/*
COPY --chmod=755 packaging/demo/pebble.sh /usr/local/bin/pebble.sh
RUN install -d -o node -g node -m 0755 /pebble
USER node
ENTRYPOINT ["pebble.sh"]

FROM node:20-bookworm-slim AS certherd
ENV NODE_ENV=production CERTHERD_HOME=/var/lib/certherd UV_THREADPOOL_SIZE=8
RUN groupadd --system --gid 10001 certherd \
  && useradd --system --uid 10001 --gid certherd --home-dir /var/lib/certherd --shell /usr/sbin/nologin certherd \
  && install -d -o certherd -g certherd -m 0700 /var/lib/certherd
WORKDIR /app
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY --from=build /app/bin bin
COPY package.json LICENSE ./
RUN ln -s /app/bin/certherd.js /usr/local/bin/certherd \
  && ln -s /app/bin/lb-letsencrypt.js /usr/local/bin/lb-letsencrypt
USER certherd
VOLUME /var/lib/certherd
# The HTTP API, and http-01 on the ACMEPort that rows have when they name none.
EXPOSE 8080 8888
ENTRYPOINT ["node"]
CMD ["bin/certherd.js", "up"]

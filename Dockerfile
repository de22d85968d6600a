# One image for both services. SERVICE=wallet|balances chooses; docs/docker.md has the other variables.

# The same version as `engines` in package.json. A test compares them.
FROM oven/bun:1.4.5-slim AS base
WORKDIR /app


FROM base AS dependencies
COPY package.json bun.lock ./
# The lock file names the patches that are applied during the install.
COPY src/platform/patches src/platform/patches
# Optional dependencies are the PostgreSQL of `npm start`. Peers are TypeScript and the like; the ones that run are dependencies themselves.
# No package has a reason to run a script.
RUN bun install --frozen-lockfile --production --omit=optional --omit=peer --ignore-scripts


FROM dependencies AS console
COPY src src
# The page of the console, for browsers. The services themselves run as they are.
RUN bun src/balances/console/build.ts


FROM base
# What only the build knows (revision, created, source) is given to it: see docs/docker.md.
LABEL org.opencontainers.image.title="saldo" \
      org.opencontainers.image.description="A wallet ledger and a balances read service, joined only by events." \
      org.opencontainers.image.version="0.2.0" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.vendor="The Saldo authors" \
      org.opencontainers.image.authors="The Saldo authors" \
      org.opencontainers.image.base.name="docker.io/oven/bun:1.4.5-slim"

ENV NODE_ENV=production

# Owned by root, so that the service cannot change its own code.
COPY package.json LICENSE ./
COPY --from=dependencies /app/node_modules node_modules
COPY migrations migrations
COPY seed seed
# For `/docs` of balances: half a megabyte.
COPY docs docs
COPY --from=console /app/dist dist
# Last, because it changes most often. Bun runs TypeScript, so a stack trace names the lines of the repository.
COPY src src
# `docker compose exec wallet saldo status`
COPY src/cli/saldo /usr/local/bin/saldo

# For the first line of the log. Late, since it changes with each commit.
ARG REVISION=
ENV REVISION=$REVISION

# `bun` of the base image. As numbers, so that Kubernetes sees that it is not root (`runAsNonRoot`).
USER 1000:1000
EXPOSE 8080 3003
STOPSIGNAL SIGTERM

# Alive, not ready: whoever restarts a container on this must not do so because its database is away. NO_PROXY, because a client may hand a
# proxy to every container, and no proxy knows this address. A certificate is for the name of the service, so it is not verified here.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["bun", "-e", \
  "Object.assign(process.env, { NO_PROXY: '*', no_proxy: '*' }); \
   const port = process.env.PORT || (process.env.SERVICE === 'balances' ? 3003 : 8080); \
   const scheme = process.env.TLS_CERT_FILE ? 'https' : 'http'; \
   const url = `${scheme}://127.0.0.1:${port}/livez`; \
   process.exit((await fetch(url, { tls: { rejectUnauthorized: false } })).ok ? 0 : 1)"]

# The exec form, without a package manager's script in between: signals reach the service.
CMD ["bun", "src/main.ts"]

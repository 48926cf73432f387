# The server in a container: docker build -t latchkey . && docker run -p 8000:8000 -v latchkey:/data \
#   -e SECRET_KEY=… -e SMTP_URL=… -e PUBLIC_URL=… latchkey
# Everything is fetched at build time; the running container asks no registry, and its code belongs to root.

FROM denoland/deno:2.9.6 AS build
WORKDIR /app

COPY deno.json deno.lock ./
# What only the tests need stays out of the image. The rest is installed exactly as the lock file says.
RUN deno remove --frozen=false \
    @hey-api/openapi-ts \
    @redocly/cli \
    @seriousme/openapi-schema-validator \
    @stoplight/spectral-core \
    @stoplight/spectral-owasp-ruleset \
    @stoplight/spectral-rulesets \
    ajv \
    fast-check \
    playwright-core \
    smtp-server \
    typescript \
  && deno ci --prod

COPY openapi openapi
COPY src src
# The viewer behind /docs; the task shrugs when it cannot have it, an image without it is not built.
RUN deno task viewer && test -s .viewer/scalar-*
RUN deno cache --frozen src/main.ts src/cli/*.ts


FROM denoland/deno:2.9.6
WORKDIR /app

COPY --from=build /app /app
# Only what was transpiled: the packages are in node_modules.
COPY --from=build /deno-dir/gen /deno-dir/gen
RUN chown root:root /deno-dir && install --directory --owner=deno --group=deno --mode=700 /data

USER deno
VOLUME /data
ENV APP_ENV=production KV_PATH=/data/latchkey.kv
# Large blocks go back to the system: src/cli/launch.ts says which.
ENV MALLOC_MMAP_THRESHOLD_=4194304
EXPOSE 8000
HEALTHCHECK --start-period=10s --interval=30s --timeout=5s CMD ["deno", "eval", "--no-config", \
  "const port = Deno.env.get('PORT') || 8000; \
  const { ok } = await fetch('http://127.0.0.1:' + port + '/health'); \
  Deno.exit(ok ? 0 : 1)"]

# The server gets the permissions that its settings call for, and takes the place of the shell that asked for them.
ENTRYPOINT ["/tini", "--", "sh", "-c", "\
  flags=$(deno run --cached-only --quiet --frozen --no-prompt --allow-env --allow-read=.env src/cli/launch.ts --print) \
  && IFS='\n' && exec deno run --cached-only $flags src/main.ts"]

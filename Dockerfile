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
EXPOSE 8000
HEALTHCHECK --start-period=10s --interval=30s --timeout=5s CMD ["deno", "eval", "--no-config", \
  "const port = Deno.env.get('PORT') || 8000; \
  const { ok } = await fetch('http://127.0.0.1:' + port + '/health'); \
  Deno.exit(ok ? 0 : 1)"]

# The flags that src/cli/launch.ts works out for this KV_PATH, spelled out.
ENTRYPOINT ["/tini", "--", "deno", "run", "--cached-only", \
  "--quiet", \
  "--no-prompt", \
  "--frozen", \
  "--allow-net", \
  "--allow-env=PORT,HOST,APP_ENV,PUBLIC_URL,KV_PATH,SECRET_KEY,SMTP_URL,MAIL_FROM,APP_NAME,ACCESS_TOKEN_TTL,REFRESH_TOKEN_TTL,SESSION_MAX_AGE,REFRESH_GRACE,OTP_TTL,OTP_RESEND_AFTER,REGISTRATION_TTL,CORS_ORIGINS,TRUST_PROXY,THROTTLE_LOGIN,THROTTLE_REGISTER,THROTTLE_OTP,THROTTLE_PASSWORD_RESET,THROTTLE_PASSWORD,THROTTLE_MAIL,THROTTLE_ANONYMOUS,THROTTLE_USER,PASSWORD_MIN_LENGTH,PASSWORD_PATTERN,METRICS_TOKEN,FREE_NOTES,AUDIT_RETENTION,DENO_DEPLOY,DENO_DEPLOYMENT_ID,DENO_KV_ACCESS_TOKEN", \
  "--ignore-env", \
  "--allow-read=.env,.viewer,/data,/usr/bin/ldd,src/bcrypt_worker.ts", \
  "--allow-write=/data", \
  "--allow-ffi=node_modules/.deno/@node-rs+argon2-linux-x64-gnu@2.2.1,node_modules/.deno/@node-rs+argon2-linux-arm64-gnu@2.2.1,node_modules/.deno/@node-rs+argon2-darwin-x64@2.2.1,node_modules/.deno/@node-rs+argon2-darwin-arm64@2.2.1,node_modules/.deno/@node-rs+argon2-win32-x64-msvc@2.2.1", \
  "--v8-flags=--max-semi-space-size=4", \
  "src/main.ts"]

# The shop as a small image: one binary, its settings, no shell script. `docker build -t ironcart .`
# In deploy/compose.yaml it runs beside PostgreSQL and the Stripe simulator, which is its own target here.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /source
# What the binary tells of itself in `ironcart_build_info`.
ARG IRONCART_COMMIT=unknown
ENV IRONCART_COMMIT=${IRONCART_COMMIT}
COPY . .
# The caches outlive the build, so that the next one compiles only what changed.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --locked --release --package app --package stripe-simulator \
    && install -D --target-directory=/out target/release/app target/release/stripe-simulator

FROM debian:bookworm-slim AS base
# Nobody in particular, with no home and no shell. Certificates of authorities are built into the binary.
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin ironcart
USER 10001:10001
WORKDIR /srv/ironcart

# The stand-in for Stripe, for trying the shop out.
FROM base AS simulator
COPY --from=build /out/stripe-simulator /usr/local/bin/stripe-simulator
ENTRYPOINT ["/usr/local/bin/stripe-simulator"]

FROM base AS app
COPY --from=build /out/app /usr/local/bin/app
ENV APP_ENV=production \
    APP__SERVER__HOST=0.0.0.0 \
    APP__SERVER__PORT=8080
EXPOSE 8080
# SIGTERM lets requests in flight finish; that takes at most 30 s.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/app"]
CMD ["serve"]

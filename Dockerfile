# docker build -t pocket-tasks .
# docker run -p 3000:3000 -v pocket-tasks:/data --stop-timeout 35 -e PUBLIC_URL=https://tasks.example.com \
#     -e REQUIRE_EMAIL_VERIFICATION=false \
#     -e JWT_SECRET="$(openssl rand -base64 48)" -e ENCRYPTION_KEY="$(openssl rand -base64 32)" pocket-tasks
#
# Portable across builders: Railway rejects `VOLUME`, and cache mounts without a service id.

FROM rust:1.95-bookworm AS builder
WORKDIR /build

# Build the dependencies first, with empty crates, so that a change of our code does not rebuild them.
COPY Cargo.toml Cargo.lock ./
COPY migration/Cargo.toml migration/
COPY benches/Cargo.toml benches/
RUN mkdir -p src migration/src \
    && touch src/lib.rs migration/src/lib.rs \
    && echo 'fn main() {}' > src/main.rs \
    && cargo build --release --locked --bin pocket-tasks

# Cargo compares modification times, and the real files may be older than the empty ones.
COPY . .
RUN touch src/lib.rs src/main.rs migration/src/lib.rs \
    && cargo build --release --locked --bin pocket-tasks


FROM debian:bookworm-slim

# Root certificates for TLS to mail servers and webhook receivers.
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*

# A fixed id, so that a mounted directory can be prepared with: chown 10001:10001 DIRECTORY
RUN groupadd --system --gid 10001 pocket-tasks \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin \
        pocket-tasks \
    && install --directory --owner=10001 --group=10001 --mode=0750 /data

COPY --from=builder /build/target/release/pocket-tasks /usr/local/bin/pocket-tasks

# Mount a volume here for the SQLite database. A new named volume inherits the owner of this directory.
WORKDIR /data
USER 10001:10001

# JWT_SECRET, ENCRYPTION_KEY, PUBLIC_URL and SMTP_URL have no default in production; .env.example documents every variable.
ENV APP_ENV=production \
    HOST=0.0.0.0 \
    PORT=3000 \
    DATA_DIR=/data \
    DATABASE_URL=sqlite:///data/pocket-tasks.db

EXPOSE 3000

HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["/usr/local/bin/pocket-tasks", "healthcheck"]

ENTRYPOINT ["/usr/local/bin/pocket-tasks"]
CMD ["serve"]

# syntax=docker/dockerfile:1
# Builds the binary with librdkafka and OpenSSL inside, and puts it alone into an image without a shell.

FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --profile dist --locked --bin processor && cp target/dist/processor /processor

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /processor /usr/local/bin/processor
EXPOSE 8890
# SIGTERM is docker's own choice too; said here because the drain depends on it. Give it 30 s: docker stop -t 30.
STOPSIGNAL SIGTERM
# Whether it is alive, not whether it is ready: an instance that waits for its broker is not to be replaced.
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3 \
    CMD ["/usr/local/bin/processor", "health", "--live"]
ENTRYPOINT ["/usr/local/bin/processor"]
CMD ["run"]

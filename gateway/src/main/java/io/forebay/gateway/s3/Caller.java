package io.forebay.gateway.s3;

import java.util.Optional;

/**
 * Who sends a request, and how its body is secured.
 *
 * @param anonymous not signed
 * @param payloadSha256Hex the body's hash that was signed
 * @param rights what the key pair may do
 * @param signing what continues the signature through a body in signed chunks
 */
record Caller(
    boolean anonymous,
    Rights rights,
    Payload payload,
    Optional<String> payloadSha256Hex,
    Optional<ChunkSigning> signing) {
  /** How a body comes. */
  enum Payload {
    PLAIN,
    SIGNED_CHUNKS,
    SIGNED_CHUNKS_AND_TRAILER,
    UNSIGNED_CHUNKS_AND_TRAILER;

    boolean chunked() {
      return this != PLAIN;
    }
  }

  /**
   * The chain of a streaming signature.
   *
   * @param key the signing key
   * @param scope date/region/s3/aws4_request
   */
  record ChunkSigning(byte[] key, String timestamp, String scope, String seedSignature) {}
}

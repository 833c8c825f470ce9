package io.forebay.gateway.s3;

/** A request that this protocol's own rules refuse. */
final class S3Refusal extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final S3Code code;

  S3Refusal(S3Code code, String message) {
    super(message, null, false, false);
    this.code = code;
  }

  S3Code code() {
    return code;
  }
}

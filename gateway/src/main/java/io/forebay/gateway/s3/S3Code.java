package io.forebay.gateway.s3;

/** What only this protocol can get wrong: S3's error codes beside those of the one table. */
enum S3Code {
  AUTHORIZATION_HEADER_MALFORMED("AuthorizationHeaderMalformed", 400),
  AUTHORIZATION_QUERY_ERROR("AuthorizationQueryParametersError", 400),
  CONTENT_SHA256_MISMATCH("XAmzContentSHA256Mismatch", 400),
  INVALID_ARGUMENT("InvalidArgument", 400),
  INVALID_DIGEST("InvalidDigest", 400),
  INVALID_LOCATION("InvalidLocationConstraint", 400),
  INVALID_REQUEST("InvalidRequest", 400),
  INVALID_URI("InvalidURI", 400),
  MALFORMED_TRAILER("MalformedTrailerError", 400),
  MALFORMED_XML("MalformedXML", 400),
  METADATA_TOO_LARGE("MetadataTooLarge", 400),
  METHOD_NOT_ALLOWED("MethodNotAllowed", 405),
  MISSING_CONTENT_LENGTH("MissingContentLength", 411),
  NO_SUCH_VERSION("NoSuchVersion", 404),
  NOT_IMPLEMENTED("NotImplemented", 501),
  REQUEST_HEADER_TOO_LARGE("RequestHeaderSectionTooLarge", 431),
  UNSIGNED_HEADERS("AccessDenied", 403);

  private final String code;
  private final int status;

  S3Code(String code, int status) {
    this.code = code;
    this.status = status;
  }

  String code() {
    return code;
  }

  int status() {
    return status;
  }
}

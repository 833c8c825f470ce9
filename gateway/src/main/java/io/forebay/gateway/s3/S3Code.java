package io.forebay.gateway.s3;

/** What only this protocol can get wrong: S3's error codes beside those of the one table. */
enum S3Code {
  ACCESS_FORBIDDEN("AccessForbidden", 403),
  AUTHORIZATION_HEADER_MALFORMED("AuthorizationHeaderMalformed", 400),
  AUTHORIZATION_QUERY_ERROR("AuthorizationQueryParametersError", 400),
  BAD_REQUEST("BadRequest", 400),
  CONTENT_SHA256_MISMATCH("XAmzContentSHA256Mismatch", 400),
  ENTITY_TOO_SMALL("EntityTooSmall", 400),
  INVALID_ARGUMENT("InvalidArgument", 400),
  INVALID_DIGEST("InvalidDigest", 400),
  INVALID_LOCATION("InvalidLocationConstraint", 400),
  INVALID_PART_NUMBER("InvalidPartNumber", 416),
  INVALID_POLICY_DOCUMENT("InvalidPolicyDocument", 400),
  INVALID_RANGE("InvalidRange", 416),
  INVALID_REQUEST("InvalidRequest", 400),
  INVALID_TAG("InvalidTag", 400),
  INVALID_URI("InvalidURI", 400),
  MALFORMED_POST_REQUEST("MalformedPOSTRequest", 400),
  MALFORMED_TRAILER("MalformedTrailerError", 400),
  MALFORMED_XML("MalformedXML", 400),
  METADATA_TOO_LARGE("MetadataTooLarge", 400),
  METHOD_NOT_ALLOWED("MethodNotAllowed", 405),
  MISSING_CONTENT_LENGTH("MissingContentLength", 411),
  NO_SUCH_CORS("NoSuchCORSConfiguration", 404),
  NO_SUCH_VERSION("NoSuchVersion", 404),
  NOT_IMPLEMENTED("NotImplemented", 501),
  POLICY_CONDITION("AccessDenied", 403),
  REQUEST_HEADER_TOO_LARGE("RequestHeaderSectionTooLarge", 431),
  TOO_MANY_TAGS("BadRequest", 400),
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

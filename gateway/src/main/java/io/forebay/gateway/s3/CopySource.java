package io.forebay.gateway.s3;

/** The object that x-amz-copy-source names. */
record CopySource(String bucket, String key) {
  /**
   * Reads the header.
   *
   * @throws S3Refusal INVALID_ARGUMENT; NO_SUCH_VERSION
   */
  static CopySource parse(String header) {
    String text = header.startsWith("/") ? header.substring(1) : header;
    int version = text.indexOf("?versionId=");
    if (version >= 0) {
      if (!text.substring(version).equals("?versionId=null")) {
        throw new S3Refusal(S3Code.NO_SUCH_VERSION, "the only version of an object is 'null'");
      }
      text = text.substring(0, version);
    }
    String path = PercentCoding.decode(text, false);
    int slash = path.indexOf('/');
    if (slash < 1 || slash == path.length() - 1) {
      throw new S3Refusal(S3Code.INVALID_ARGUMENT, "x-amz-copy-source must be BUCKET/KEY");
    }
    return new CopySource(path.substring(0, slash), path.substring(slash + 1));
  }
}

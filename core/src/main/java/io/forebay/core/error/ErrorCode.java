package io.forebay.core.error;

import static io.forebay.core.error.ErrorCode.Retry.AFTER_REFRESH;
import static io.forebay.core.error.ErrorCode.Retry.LATER;
import static io.forebay.core.error.ErrorCode.Retry.NEVER;

/**
 * Every fault that can cross a boundary, and what each door calls it: the ONE table. Columns: wire
 * number (never reused), retry advice, S3 code, HTTP status (S3 and Azure), Azure Blob code, RESP
 * prefix, errno name.
 */
public enum ErrorCode {
  INTERNAL(1, NEVER, "InternalError", 500, "InternalError", "ERR", "EIO"),
  INVALID_ARGUMENT(2, NEVER, "InvalidArgument", 400, "InvalidInput", "ERR", "EINVAL"),
  NOT_FOUND(3, NEVER, "NoSuchKey", 404, "BlobNotFound", "ERR", "ENOENT"),
  NO_SUCH_BUCKET(4, NEVER, "NoSuchBucket", 404, "ContainerNotFound", "ERR", "ENOENT"),
  BUCKET_EXISTS(
      5, NEVER, "BucketAlreadyOwnedByYou", 409, "ContainerAlreadyExists", "ERR", "EEXIST"),
  BUCKET_NOT_EMPTY(6, NEVER, "BucketNotEmpty", 409, "ContainerBeingDeleted", "ERR", "ENOTEMPTY"),
  NO_SUCH_UPLOAD(7, NEVER, "NoSuchUpload", 404, "InvalidBlockList", "ERR", "ENOENT"),
  INVALID_PART(8, NEVER, "InvalidPart", 400, "InvalidBlockList", "ERR", "EINVAL"),
  INVALID_PART_ORDER(9, NEVER, "InvalidPartOrder", 400, "InvalidBlockList", "ERR", "EINVAL"),
  PART_TOO_SMALL(10, NEVER, "EntityTooSmall", 400, "InvalidBlockList", "ERR", "EINVAL"),
  PRECONDITION_FAILED(11, NEVER, "PreconditionFailed", 412, "ConditionNotMet", "ERR", "EEXIST"),
  NOT_MODIFIED(12, NEVER, "NotModified", 304, "ConditionNotMet", "ERR", "EEXIST"),
  CONCURRENT_CHANGE(
      13, LATER, "ConditionalRequestConflict", 409, "BlobBeingRehydrated", "TRYAGAIN", "EAGAIN"),
  RANGE_NOT_SATISFIABLE(14, NEVER, "InvalidRange", 416, "InvalidRange", "ERR", "EINVAL"),
  KEY_TOO_LONG(15, NEVER, "KeyTooLongError", 400, "InvalidResourceName", "ERR", "ENAMETOOLONG"),
  INVALID_KEY(16, NEVER, "InvalidArgument", 400, "InvalidResourceName", "ERR", "EINVAL"),
  INVALID_BUCKET_NAME(17, NEVER, "InvalidBucketName", 400, "InvalidResourceName", "ERR", "EINVAL"),
  ENTITY_TOO_LARGE(18, NEVER, "EntityTooLarge", 400, "RequestBodyTooLarge", "ERR", "EFBIG"),
  CHECKSUM_MISMATCH(19, NEVER, "BadDigest", 400, "Md5Mismatch", "ERR", "EIO"),
  INCOMPLETE_BODY(20, NEVER, "IncompleteBody", 400, "InvalidInput", "ERR", "EIO"),
  UNAUTHENTICATED(
      21, NEVER, "AccessDenied", 403, "NoAuthenticationInformation", "NOAUTH", "EACCES"),
  ACCESS_DENIED(22, NEVER, "AccessDenied", 403, "AuthorizationFailure", "NOPERM", "EACCES"),
  NO_SUCH_ACCESS_KEY(
      23, NEVER, "InvalidAccessKeyId", 403, "AuthenticationFailed", "WRONGPASS", "EACCES"),
  SIGNATURE_MISMATCH(
      24, NEVER, "SignatureDoesNotMatch", 403, "AuthenticationFailed", "WRONGPASS", "EACCES"),
  CLOCK_SKEW(25, NEVER, "RequestTimeTooSkewed", 403, "AuthenticationFailed", "ERR", "EACCES"),
  NOT_IMPLEMENTED(26, NEVER, "NotImplemented", 501, "UnsupportedHeader", "ERR", "ENOTSUP"),
  NO_SPACE(27, LATER, "ServiceUnavailable", 507, "InsufficientAccountPermissions", "OOM", "ENOSPC"),
  BUSY(28, LATER, "SlowDown", 503, "ServerBusy", "TRYAGAIN", "EBUSY"),
  UNAVAILABLE(29, LATER, "ServiceUnavailable", 503, "ServerBusy", "CLUSTERDOWN", "EIO"),
  TIMEOUT(30, LATER, "RequestTimeout", 503, "OperationTimedOut", "TRYAGAIN", "ETIMEDOUT"),
  CANCELLED(31, LATER, "ServiceUnavailable", 503, "ServerBusy", "TRYAGAIN", "EINTR"),
  PEER_UNREACHABLE(
      32, LATER, "ServiceUnavailable", 503, "ServerBusy", "CLUSTERDOWN", "EHOSTUNREACH"),
  NOT_LEADER(33, AFTER_REFRESH, "ServiceUnavailable", 503, "ServerBusy", "TRYAGAIN", "EAGAIN"),
  STALE_EPOCH(34, AFTER_REFRESH, "ServiceUnavailable", 503, "ServerBusy", "TRYAGAIN", "ESTALE"),
  SESSION_ENDED(35, AFTER_REFRESH, "ServiceUnavailable", 503, "ServerBusy", "TRYAGAIN", "ESTALE"),
  CHUNK_ABSENT(36, LATER, "InternalError", 500, "InternalError", "ERR", "EIO"),
  CORRUPT(37, NEVER, "InternalError", 500, "InternalError", "ERR", "EIO"),
  IO_ERROR(38, LATER, "InternalError", 500, "InternalError", "ERR", "EIO"),
  STORE_UNREACHABLE(39, LATER, "ServiceUnavailable", 503, "ServerBusy", "ERR", "EIO"),
  STORE_DENIED(40, NEVER, "AccessDenied", 403, "AuthorizationFailure", "ERR", "EACCES"),
  STORE_THROTTLED(41, LATER, "SlowDown", 503, "ServerBusy", "ERR", "EBUSY"),
  STORE_MISSING(42, NEVER, "NoSuchBucket", 404, "ContainerNotFound", "ERR", "ENOENT"),
  STORE_CONFLICT(43, NEVER, "OperationAborted", 409, "ConditionNotMet", "ERR", "ESTALE"),
  GENERATION_GONE(44, NEVER, "OperationAborted", 409, "ConditionNotMet", "ERR", "ESTALE"),
  WRONG_CLUSTER(45, NEVER, "InternalError", 500, "InternalError", "ERR", "EPERM"),
  WRONG_VERSION(46, NEVER, "InternalError", 500, "InternalError", "ERR", "EPROTO"),
  CONFIGURATION(47, NEVER, "InternalError", 500, "InternalError", "ERR", "EINVAL"),
  GROUP_UNSAFE(48, LATER, "ServiceUnavailable", 503, "ServerBusy", "CLUSTERDOWN", "EIO"),
  // As Ceph says it to S3 clients, which do not send a 403 again.
  QUOTA_EXCEEDED(
      49, NEVER, "QuotaExceeded", 403, "InsufficientAccountPermissions", "OOM", "EDQUOT");

  /** What a caller may do about a fault. */
  public enum Retry {
    /** The same request will fail again. */
    NEVER,
    /** The same request may succeed after a pause. */
    LATER,
    /** The caller's picture is old: refresh it (leader, epoch, session), then send again. */
    AFTER_REFRESH
  }

  private final int number;
  private final Retry retry;
  private final String s3Code;
  private final int httpStatus;
  private final String azureCode;
  private final String respPrefix;
  private final String errno;

  ErrorCode(
      int number,
      Retry retry,
      String s3Code,
      int httpStatus,
      String azureCode,
      String respPrefix,
      String errno) {
    this.number = number;
    this.retry = retry;
    this.s3Code = s3Code;
    this.httpStatus = httpStatus;
    this.azureCode = azureCode;
    this.respPrefix = respPrefix;
    this.errno = errno;
  }

  public int number() {
    return number;
  }

  public Retry retry() {
    return retry;
  }

  public String s3Code() {
    return s3Code;
  }

  public int httpStatus() {
    return httpStatus;
  }

  public String azureCode() {
    return azureCode;
  }

  public String respPrefix() {
    return respPrefix;
  }

  public String errno() {
    return errno;
  }

  /** The code with this wire number; INTERNAL for a number of a newer version. */
  public static ErrorCode ofNumber(int number) {
    for (ErrorCode code : values()) {
      if (code.number == number) {
        return code;
      }
    }
    return INTERNAL;
  }
}

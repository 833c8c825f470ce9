package io.forebay.backing.s3;

import io.forebay.backing.http.Causes;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.util.Optional;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeoutException;
import software.amazon.awssdk.awscore.exception.AwsServiceException;
import software.amazon.awssdk.core.exception.ApiCallAttemptTimeoutException;
import software.amazon.awssdk.core.exception.ApiCallTimeoutException;

/**
 * What a failed request means.
 *
 * <p>Only an answer that carries an error code of S3's, in its body, is believed about what was, or
 * was not, done: a proxy's 404 or 503 says nothing about the object. The one exception is 429,
 * which nobody sends who has passed the request on.
 */
final class S3Faults {
  private final S3Address address;

  S3Faults(S3Address address) {
    this.address = address;
  }

  /** The store's error code of a failure; empty when it is no answer of the store's. */
  static String code(Throwable failure) {
    return answer(failure)
        .map(AwsServiceException::awsErrorDetails)
        .map(details -> details.errorCode())
        .orElse("");
  }

  /** The status of an answer that was no success, whoever gave it; 0 without one. */
  static int status(Throwable failure) {
    return answer(failure).map(AwsServiceException::statusCode).orElse(0);
  }

  private static Optional<AwsServiceException> answer(Throwable failure) {
    return failure instanceof AwsServiceException answered
        ? Optional.of(answered)
        : Optional.empty();
  }

  /** What was attempted, for a message. */
  String attempted(String operation, String key) {
    return operation
        + (key.isEmpty() ? "" : " '" + key + "'")
        + " in the store "
        + address.description();
  }

  /** The fault of a failure whose code is none that the operation expects. */
  ForebayException fault(String operation, String key, Throwable thrown) {
    Throwable failure =
        thrown instanceof CompletionException && thrown.getCause() != null
            ? thrown.getCause()
            : thrown;
    if (failure instanceof ForebayException known) {
      return known;
    }
    String what = attempted(operation, key);
    if (Causes.caused(failure, InterruptedException.class)) {
      Thread.currentThread().interrupt();
      return new ForebayException(
          ErrorCode.CANCELLED, what + " was interrupted; it may have been carried out", failure);
    }
    if (failure instanceof AwsServiceException answered) {
      return answered(what, answered);
    }
    if (String.valueOf(failure.getMessage()).contains("Unable to load credentials")) {
      // By the SDK's own words; it has no type for it. Nothing was sent.
      return new ForebayException(
          ErrorCode.STORE_DENIED,
          what
              + " was not sent, for no credentials were found; set "
              + S3Address.KEY_ID
              + " and "
              + S3Address.SECRET
              + ", or give this machine a profile or a role",
          failure);
    }
    if (Causes.caused(failure, TimeoutException.class)
        || Causes.caused(failure, ApiCallTimeoutException.class)
        || Causes.caused(failure, ApiCallAttemptTimeoutException.class)
        || Causes.caused(failure, io.netty.handler.timeout.TimeoutException.class)) {
      return new ForebayException(
          ErrorCode.TIMEOUT,
          what
              + " was not answered in time; it may have been carried out; check the network and"
              + " whether the store is slow",
          failure);
    }
    return new ForebayException(
        ErrorCode.STORE_UNREACHABLE,
        what
            + " got no answer to rely on ("
            + Causes.reason(failure)
            + "); it may have been carried out; check the network and the endpoint, "
            + address.place(),
        failure);
  }

  private ForebayException answered(String what, AwsServiceException failure) {
    int status = failure.statusCode();
    String code = code(failure);
    String answer = what + " was answered " + status + (code.isEmpty() ? "" : " " + code);
    if (status == 429) {
      return throttled(answer, failure);
    }
    return switch (code) {
      case "" ->
          new ForebayException(
              ErrorCode.STORE_UNREACHABLE,
              answer
                  + " without a word of S3's; it may have been carried out; check proxies, firewalls"
                  + " and the endpoint, "
                  + address.place(),
              failure);
      case "SlowDown",
          "SlowDownRead",
          "SlowDownWrite",
          "Throttling",
          "ThrottlingException",
          "TooManyRequests",
          "RequestLimitExceeded",
          "QuotaExceeded",
          "XMinioStorageFull" ->
          throttled(answer, failure);
      case "RequestTimeout" ->
          new ForebayException(
              ErrorCode.TIMEOUT,
              answer + "; it may have been carried out; it is looked at again",
              failure);
      case "NoSuchBucket" ->
          new ForebayException(
              ErrorCode.STORE_MISSING,
              answer
                  + ": there is no bucket '"
                  + address.bucket()
                  + "'; create it, or add create=true to the store's URL",
              failure);
      case "PermanentRedirect",
          "TemporaryRedirect",
          "AuthorizationHeaderMalformed",
          "IllegalLocationConstraintException" ->
          new ForebayException(
              ErrorCode.STORE_MISSING,
              answer
                  + ": the bucket is not in the region "
                  + address.region()
                  + region(failure)
                  + "; write region=... into the store's URL",
              failure);
      case "NoSuchUpload", "InvalidPart", "InvalidPartOrder" ->
          new ForebayException(
              ErrorCode.NO_SUCH_UPLOAD,
              answer + ": its parts are gone; the upload begins anew",
              failure);
      case "InvalidRange" ->
          new ForebayException(
              ErrorCode.RANGE_NOT_SATISFIABLE,
              answer + ": the object ends before; look at it again",
              failure);
      case "BadDigest",
          "IncompleteBody",
          "XAmzContentSHA256Mismatch",
          "XAmzContentChecksumMismatch" ->
          new ForebayException(
              ErrorCode.STORE_UNREACHABLE,
              answer + ": the bytes were damaged or lost on their way; they are sent again",
              failure);
      case "ExpiredToken", "InvalidToken", "TokenRefreshRequired" -> denied(answer, failure);
      case "NotImplemented" ->
          new ForebayException(
              ErrorCode.INVALID_ARGUMENT,
              answer
                  + ": the store lacks something that is needed; it must take If-Match and"
                  + " If-None-Match of PutObject and CompleteMultipartUpload",
              failure);
      case "InvalidObjectState" ->
          new ForebayException(
              ErrorCode.STORE_CONFLICT, answer + ": the object is archived; restore it", failure);
      default -> ofStatus(answer, status, failure);
    };
  }

  private static ForebayException ofStatus(String answer, int status, AwsServiceException failure) {
    if (status >= 500 || status < 400) {
      return new ForebayException(
          ErrorCode.STORE_UNREACHABLE,
          answer + "; it may have been carried out; check the service's health",
          failure);
    }
    return switch (status) {
      case 401, 403 -> denied(answer, failure);
      case 404, 409, 412 ->
          new ForebayException(
              ErrorCode.STORE_CONFLICT,
              answer
                  + ": the store keeps what it has; look for a lock, a retention or a policy of the"
                  + " bucket",
              failure);
      default ->
          new ForebayException(
              ErrorCode.INVALID_ARGUMENT,
              answer + ": the store does not take such a name, header, size or request",
              failure);
    };
  }

  private static ForebayException denied(String answer, Throwable failure) {
    return new ForebayException(
        ErrorCode.STORE_DENIED,
        answer
            + ": the credentials do not allow it; check their rights (s3:ListBucket too: without it"
            + " an object that is not there is answered so), their end, the bucket's policy and this"
            + " machine's clock",
        failure);
  }

  private static ForebayException throttled(String answer, AwsServiceException failure) {
    return new ForebayException(
        ErrorCode.STORE_THROTTLED,
        answer
            + header(failure, "retry-after")
                .map(after -> ", to be tried again after " + after + " s")
                .orElse("")
            + ": the store is over its limits or full; it is sent again, more slowly",
        failure);
  }

  /** Where the bucket is, when the store says so. */
  private static String region(Throwable failure) {
    return header(failure, "x-amz-bucket-region")
        .map(region -> " but in " + region.replaceAll("[^a-z0-9-]", ""))
        .orElse("");
  }

  private static Optional<String> header(Throwable failure, String name) {
    return answer(failure)
        .map(AwsServiceException::awsErrorDetails)
        .map(details -> details.sdkHttpResponse())
        .flatMap(response -> response.firstMatchingHeader(name));
  }
}

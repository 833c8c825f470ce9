package io.forebay.backing.azure;

import com.azure.core.exception.ClientAuthenticationException;
import com.azure.core.exception.HttpResponseException;
import com.azure.core.http.HttpHeaderName;
import com.azure.core.http.HttpResponse;
import io.forebay.backing.http.Causes;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.util.concurrent.TimeoutException;
import reactor.core.Exceptions;

/**
 * What a failed request means.
 *
 * <p>Only an answer that carries Azure's own error code is believed about what was, or was not,
 * done: a proxy's 404 or 503 says nothing about the blob. The one exception is 429, which nobody
 * sends who has passed the request on.
 */
final class AzureFaults {
  private static final HttpHeaderName ERROR_CODE = HttpHeaderName.fromString("x-ms-error-code");

  private final AzureAddress address;

  AzureFaults(AzureAddress address) {
    this.address = address;
  }

  /** Azure's error code of a failure; empty when it is no answer of Azure's. */
  static String code(Throwable failure) {
    if (Exceptions.unwrap(failure) instanceof HttpResponseException answered) {
      HttpResponse response = answered.getResponse();
      String code = response == null ? null : response.getHeaderValue(ERROR_CODE);
      return code == null ? "" : code;
    }
    return "";
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
    Throwable failure = Exceptions.unwrap(thrown);
    if (failure instanceof ForebayException known) {
      return known;
    }
    String what = attempted(operation, key);
    if (Causes.caused(failure, InterruptedException.class)) {
      Thread.currentThread().interrupt();
      return new ForebayException(
          ErrorCode.CANCELLED, what + " was interrupted; it may have been carried out", failure);
    }
    if (failure instanceof ClientAuthenticationException) {
      // Of the token's issuer; the store's own refusals come as answers. Nothing was sent.
      return new ForebayException(
          ErrorCode.STORE_DENIED,
          what
              + " was not sent, for no token could be had ("
              + Causes.reason(failure)
              + "); set "
              + AzureAddress.CONNECTION_STRING
              + ", "
              + AzureAddress.KEY
              + " or "
              + AzureAddress.SAS_TOKEN
              + ", or give this machine an identity",
          failure);
    }
    if (failure instanceof HttpResponseException answered && answered.getResponse() != null) {
      return answered(what, answered, code(failure));
    }
    if (Causes.caused(failure, TimeoutException.class)
        || Causes.caused(failure, io.netty.handler.timeout.TimeoutException.class)) {
      return new ForebayException(
          ErrorCode.TIMEOUT,
          what
              + " was not answered in time; it may have been carried out; check the network and"
              + " whether the account is slow",
          failure);
    }
    return new ForebayException(
        ErrorCode.STORE_UNREACHABLE,
        what
            + " got no answer to rely on ("
            + Causes.reason(failure)
            + "); it may have been carried out; check the network and the endpoint "
            + address.endpoint(),
        failure);
  }

  private ForebayException answered(String what, HttpResponseException failure, String code) {
    int status = failure.getResponse().getStatusCode();
    String answer = " was answered " + status + (code.isEmpty() ? "" : " " + code);
    if (status == 429 || code.equals("ServerBusy")) {
      String after = failure.getResponse().getHeaderValue(HttpHeaderName.RETRY_AFTER);
      return new ForebayException(
          ErrorCode.STORE_THROTTLED,
          what
              + answer
              + (after == null ? "" : ", to be tried again after " + after + " s")
              + ": the account is over its limits; it is sent again, more slowly",
          failure);
    }
    if (code.isEmpty()) {
      return new ForebayException(
          ErrorCode.STORE_UNREACHABLE,
          what
              + answer
              + " by something that is not Azure Blob Storage; it may have been carried out; check"
              + " proxies, firewalls and the endpoint "
              + address.endpoint(),
          failure);
    }
    if (code.equals("OperationTimedOut") || status == 408) {
      return new ForebayException(
          ErrorCode.TIMEOUT,
          what + answer + "; it may have been carried out; it is looked at again",
          failure);
    }
    if (status >= 500 || status < 400) {
      return new ForebayException(
          ErrorCode.STORE_UNREACHABLE,
          what + answer + "; it may have been carried out; check the service's health",
          failure);
    }
    return refused(what + answer, status, code, failure);
  }

  /** Azure says that it did not do it. */
  private ForebayException refused(
      String what, int status, String code, HttpResponseException failure) {
    return switch (code) {
      case "ContainerNotFound", "ContainerBeingDeleted" ->
          new ForebayException(
              ErrorCode.STORE_MISSING,
              what
                  + ": there is no container '"
                  + address.container()
                  + "'; create it, or add ?create=true to the store's URL",
              failure);
      case "InvalidBlockList" ->
          new ForebayException(
              ErrorCode.NO_SUCH_UPLOAD,
              what + ": its parts are gone; the upload begins anew",
              failure);
      case "InvalidRange" ->
          new ForebayException(
              ErrorCode.RANGE_NOT_SATISFIABLE,
              what + ": the object ends before; look at it again",
              failure);
      default ->
          switch (status) {
            case 401, 403 ->
                new ForebayException(
                    ErrorCode.STORE_DENIED,
                    what
                        + ": the credentials do not allow it; check their rights, their end, the"
                        + " account's firewall and this machine's clock",
                    failure);
            case 404, 409, 412 ->
                new ForebayException(
                    ErrorCode.STORE_CONFLICT,
                    what
                        + ": the store keeps what it has; look for a lease, a policy, a snapshot or"
                        + " a tier",
                    failure);
            default ->
                new ForebayException(
                    ErrorCode.INVALID_ARGUMENT,
                    what + ": the store does not take such a name, header, size or request",
                    failure);
          };
    };
  }
}

package io.forebay.backing.azure;

import com.azure.core.exception.ClientAuthenticationException;
import com.azure.core.exception.HttpResponseException;
import com.azure.core.http.HttpHeaderName;
import com.azure.core.http.HttpResponse;
import com.azure.identity.CredentialUnavailableException;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;
import reactor.core.Exceptions;

/**
 * What a failed request means.
 *
 * <p>Only an answer that carries Azure's own error code is believed about what was, or was not,
 * done: a proxy's 404 or 503 says nothing about the blob.
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

  /** The fault of a failure whose code is none that the operation expects. */
  ForebayException fault(String operation, String key, Throwable thrown) {
    Throwable failure = Exceptions.unwrap(thrown);
    if (failure instanceof ForebayException known) {
      return known;
    }
    String what =
        operation
            + (key.isEmpty() ? "" : " '" + key + "'")
            + " in the store "
            + address.description();
    if (interrupted(failure)) {
      Thread.currentThread().interrupt();
      return new ForebayException(ErrorCode.CANCELLED, what + " was interrupted", failure);
    }
    if (failure instanceof HttpResponseException answered && answered.getResponse() != null) {
      return answered(what, answered, code(failure));
    }
    if (failure instanceof CredentialUnavailableException
        || failure instanceof ClientAuthenticationException) {
      return new ForebayException(
          ErrorCode.STORE_DENIED,
          what
              + " failed: no credentials were found; set "
              + AzureAddress.CONNECTION_STRING
              + ", "
              + AzureAddress.KEY
              + " or "
              + AzureAddress.SAS_TOKEN
              + ", or give this machine an identity",
          failure);
    }
    if (timedOut(failure)) {
      return new ForebayException(
          ErrorCode.TIMEOUT,
          what + " was not answered in time; it may have been carried out",
          failure);
    }
    if (failure instanceof IllegalArgumentException) {
      return new ForebayException(
          ErrorCode.STORE_DENIED,
          what + " cannot be sent: " + failure.getMessage() + "; check the credentials",
          failure);
    }
    return new ForebayException(
        ErrorCode.STORE_UNREACHABLE,
        what + " failed: " + failure + "; check the network and the endpoint " + address.endpoint(),
        failure);
  }

  private ForebayException answered(String what, HttpResponseException failure, String code) {
    int status = failure.getResponse().getStatusCode();
    String answer = " was answered " + status + (code.isEmpty() ? "" : " " + code);
    if (status == 429 || (status == 503 && code.equals("ServerBusy"))) {
      String after = failure.getResponse().getHeaderValue(HttpHeaderName.RETRY_AFTER);
      return new ForebayException(
          ErrorCode.STORE_THROTTLED,
          what
              + answer
              + (after == null ? "" : ", to be tried again after " + after + " s")
              + ": the account is over its limits; it is sent more slowly",
          failure);
    }
    if (status == 401 || status == 403) {
      return new ForebayException(
          ErrorCode.STORE_DENIED,
          what
              + answer
              + ": the credentials do not allow it; check their rights, their end, the"
              + " account's firewall and this machine's clock",
          failure);
    }
    if (code.equals("ContainerNotFound") || code.equals("ContainerBeingDeleted")) {
      return new ForebayException(
          ErrorCode.STORE_MISSING,
          what
              + answer
              + ": there is no container '"
              + address.container()
              + "'; create it, or add ?create=true to the store's URL",
          failure);
    }
    if (code.equals("InvalidBlockList")) {
      return new ForebayException(
          ErrorCode.NO_SUCH_UPLOAD,
          what + answer + ": its parts are gone; the upload begins anew",
          failure);
    }
    if (status == 408 || code.equals("OperationTimedOut")) {
      return new ForebayException(
          ErrorCode.TIMEOUT, what + answer + "; it may have been carried out", failure);
    }
    if (status >= 500 || code.isEmpty()) {
      return new ForebayException(
          ErrorCode.STORE_UNREACHABLE,
          what + answer + "; it may have been carried out; check the endpoint and the service",
          failure);
    }
    return new ForebayException(
        ErrorCode.STORE_DENIED,
        what + answer + ": the store refuses it (a lease, a policy, a snapshot or a bad value)",
        failure);
  }

  private static boolean interrupted(Throwable failure) {
    for (@Nullable Throwable at = failure; at != null; at = at.getCause()) {
      if (at instanceof InterruptedException) {
        return true;
      }
    }
    return false;
  }

  private static boolean timedOut(Throwable failure) {
    for (@Nullable Throwable at = failure; at != null; at = at.getCause()) {
      if (at instanceof TimeoutException
          || at instanceof io.netty.handler.timeout.TimeoutException) {
        return true;
      }
      // Before a connection stood, nothing was sent.
      if (at instanceof IOException
          && at.getMessage() != null
          && at.getMessage().startsWith("connection timed out")) {
        return false;
      }
    }
    return false;
  }
}

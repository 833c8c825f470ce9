package io.forebay.backing.s3;

import io.forebay.backing.http.Deadline;
import java.util.concurrent.TimeoutException;
import software.amazon.awssdk.core.exception.SdkClientException;
import software.amazon.awssdk.core.interceptor.Context;
import software.amazon.awssdk.core.interceptor.ExecutionAttribute;
import software.amazon.awssdk.core.interceptor.ExecutionAttributes;
import software.amazon.awssdk.core.interceptor.ExecutionInterceptor;

/**
 * Sends nothing that should have been sent long ago. A process that was stopped after a request was
 * made, and goes on minutes later, may run its timers after its sends; the signature alone would
 * let the request in for a quarter of an hour.
 */
final class LateGuard implements ExecutionInterceptor {
  /** Until when a request may be sent. */
  static final ExecutionAttribute<Deadline> DEADLINE = new ExecutionAttribute<>("forebay-deadline");

  @Override
  public void beforeTransmission(
      Context.BeforeTransmission context, ExecutionAttributes attributes) {
    Deadline deadline = attributes.getAttribute(DEADLINE);
    if (deadline != null && deadline.left().isZero()) {
      throw SdkClientException.create(
          "not sent", new TimeoutException("held up until after its deadline, not sent"));
    }
  }
}

package io.forebay.backing.azure;

import com.azure.core.http.HttpClient;
import com.azure.core.http.HttpRequest;
import com.azure.core.http.HttpResponse;
import com.azure.core.util.Context;
import io.forebay.backing.http.Deadline;
import java.util.concurrent.TimeoutException;
import reactor.core.publisher.Mono;

/**
 * Sends nothing that should have been sent long ago. A process that was stopped after a request was
 * made, and goes on minutes later, may run its timers after its sends; the signature alone would
 * let the request in for a quarter of an hour.
 */
record LateGuard(HttpClient next) implements HttpClient {
  /** Name of the request's {@link Deadline} in its context. */
  static final String DEADLINE = "forebay-deadline";

  @Override
  public Mono<HttpResponse> send(HttpRequest request) {
    return send(request, Context.NONE);
  }

  @Override
  public Mono<HttpResponse> send(HttpRequest request, Context context) {
    if (context.getData(DEADLINE).orElse(null) instanceof Deadline deadline
        && deadline.left().isZero()) {
      return Mono.error(new TimeoutException("held up until after its deadline, not sent"));
    }
    return next.send(request, context);
  }
}
